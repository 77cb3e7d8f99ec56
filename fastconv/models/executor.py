"""What runs a batch of a model. An executor has two methods:

infer(model, x)                                 the outputs
loss_and_gradients(model, objective, batch)     the outputs and the loss; fills the gradients

``LayerByLayer`` runs any network. ``Planned`` runs small ones as plans (``models.plan``), the others layer by
layer. Each model has an executor of its own, in ``_executor``; a copy of the model gets a copy of it, by
``copy.copy``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastconv._core.versions import knows
from fastconv.graph import structure
from fastconv.layers.layer import Layer
from fastconv.losses import Loss
from fastconv.models.batches import Batch
from fastconv.models.objective import Objective, Value, given_targets, value_of
from fastconv.models.plan import Plan, Plans, can_train_with
from fastconv.parameter import Array

if TYPE_CHECKING:
    from fastconv.models.model import Model


class LayerByLayer:
    """Runs the layers of a model one after the other."""

    def infer(self, model: Model, x: Any) -> Any:
        """The outputs for x, floats of a shape that the model takes; of several inputs a list."""
        return model.forward(x, training=False)

    def loss_and_gradients(self, model: Model, objective: Objective, batch: Batch) -> tuple[Any, Value]:
        """(outputs, loss) of a batch; fills the gradients of all parameters.

        Penalties on outputs (``add_loss``, ``activity_regularizer``) are part of the loss and its gradients;
        those on weights are not. Raises ValueError where targets are missing.
        """
        y_pred = model.forward(batch.x, training=True)
        composes = (
            model.composition(training=True) is not None
        )  # else the model has a ``backward`` of its own
        outputs, y, weights = model._by_output(batch.y, y_pred, batch.sample_weight)
        terms = objective.terms(model._ports.outputs)
        value = value_of(terms, y, outputs, weights)
        gradients: list[Array | None] = []
        from_logits: list[bool] = []
        last = model._last_layers() if composes else [model] * len(outputs)
        for term, layer, target, output, weight in zip(terms, last, y, outputs, weights, strict=True):
            fused = composes and term.loss is not None and fuses(term.loss, layer)
            gradient = None
            if term.loss is not None:
                derive = term.loss.gradient_at_logits if fused else term.loss.gradient
                gradient = derive(target, output, weight)
                if term.weight != 1:
                    gradient = gradient * gradient.dtype.type(term.weight)
            gradients.append(gradient)
            from_logits.append(fused)
        with model._letting_go():
            if composes:
                model.back_through(gradients, input_gradient=False, from_logits=from_logits)
            else:
                model.backward(structure.packed(y_pred, gradients), input_gradient=False)
        return y_pred, value._replace(total=value.total + sum(model.activity_losses))


class Planned(LayerByLayer):
    """Runs a model as a plan where there is one for it, layer by layer where there is none."""

    def __init__(self) -> None:
        self._plans, self._inference_plans = Plans(), Plans(inference=True)

    def infer(self, model: Model, x: Any) -> Any:
        plan = None
        if _is_as_built(model, x):
            plan = self.plan(model) or self.inference_plan(model, len(x))
        return super().infer(model, x) if plan is None else plan.predict(x)

    def loss_and_gradients(self, model: Model, objective: Objective, batch: Batch) -> tuple[Any, Value]:
        loss = objective.single
        if loss is not None and can_train_with(loss) and _is_as_built(model, batch.x):
            plan = self.plan(model)
            if plan is not None:  # whose layers have no penalties on their outputs
                y_pred, total = plan.train(batch.x, given_targets(batch.y), loss, batch.sample_weight)
                return y_pred, Value(total, [total], [])
        return super().loss_and_gradients(model, objective, batch)

    def plan(self, model: Model) -> Plan | None:
        """The plan that trains the model and predicts; None where there is none."""
        return self._plans.find(model) if _may_be_planned(model) else None

    def inference_plan(self, model: Model, images: int) -> Plan | None:
        """The plan that only predicts, where it pays for so many images."""
        plan = self._inference_plans.find(model) if _may_be_planned(model) else None
        return plan if plan is not None and plan.pays_for(images) else None

    def __reduce__(self) -> tuple[type[Planned], tuple[()]]:
        return Planned, ()  # a plan works on the arrays of the model that it was made for


def _may_be_planned(model: Model) -> bool:
    return model.built and model.jit_compile is not False


def _is_as_built(model: Model, x: Any) -> bool:
    """Whether x is one array of the shape that the model was built for, and plans are made for."""
    return isinstance(x, np.ndarray) and x.shape[1:] == model._input_shape


def fuses(loss: Loss, layer: Layer) -> bool:
    """True where loss and last activation have a simpler derivative together: softmax and cross-entropy.

    Not where a subclass has changed one of the two and not their derivative together.
    """
    if loss.fuses_with is None or getattr(loss, "from_logits", False):
        return False
    return (
        loss.fuses_with == layer.output_activation
        and knows(loss, "gradient_at_logits", "__call__", "gradient")
        and knows(loss, "derivative_at_logits", "call", "derivative")
        and layer._skips_activation()
    )
