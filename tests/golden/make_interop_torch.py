"""Makes files in interop/ as PyTorch writes them, and what their networks compute.

python tests/golden/make_interop_torch.py       # PyTorch 2.13, safetensors
"""

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).parents[1]))
import interop_torch_networks as networks

PLACE = Path(__file__).with_name("interop")

if __name__ == "__main__":
    arrays = {}
    for name, (build, _) in networks.NETWORKS.items():
        net = networks.drawn(build(torch.nn))
        x = networks.inputs_of(name)
        arrays[name] = networks.outputs_of(net, x)
        if name == "everything":
            torch.save(net.state_dict(), PLACE / f"torch_{name}.pt")
        save_file(net.state_dict(), PLACE / f"torch_{name}.safetensors")
    torch.save({"epoch": 3, "state_dict": {"weight": torch.arange(6.0).reshape(2, 3).T, "bias": torch.ones(
        3, dtype=torch.bfloat16)}}, PLACE / "torch_checkpoint.pt")  # fmt: skip
    np.savez_compressed(PLACE / "torch.npz", **arrays)
