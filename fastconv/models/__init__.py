"""Models: layers stacked, trained, looked at, saved."""

from fastconv._core.names import publish
from fastconv.models.architecture import model_from_json
from fastconv.models.cloning import clone_model
from fastconv.models.exporting import LoadedProgram, export_model, load_program
from fastconv.models.model import Model
from fastconv.models.receptive_field import ReceptiveField, receptive_field
from fastconv.models.saving import load_model, read_notes, save_model
from fastconv.models.sequential import Sequential

__all__ = [
    "LoadedProgram",
    "Model",
    "ReceptiveField",
    "Sequential",
    "clone_model",
    "export_model",
    "load_model",
    "load_program",
    "model_from_json",
    "read_notes",
    "receptive_field",
    "save_model",
]

publish(__name__)
