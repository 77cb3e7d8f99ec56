"""The same training without ``fit``: forward, loss, backward, step, all visible, NumPy arrays in between.

python examples/loop_by_hand.py
"""

from __future__ import annotations

import numpy as np

import fastconv as fc

fc.utils.set_random_seed(1)
rng = np.random.default_rng(1)

(x_train, y_train), (x_test, y_test) = fc.datasets.digits.load_data()
x_train, x_test = (x[..., None].astype(np.float32) / 255 for x in (x_train, x_test))

# No softmax at the end: the loss below takes the scores themselves ("logits"), which is simpler to derive.
model = fc.Sequential(
    [
        fc.Input((28, 28, 1)),
        fc.layers.Conv2D(6, 5, padding="same", activation="relu"),
        fc.layers.AveragePooling2D(2),
        fc.layers.Conv2D(16, 5, activation="relu"),
        fc.layers.AveragePooling2D(2),
        fc.layers.Flatten(),
        fc.layers.Dense(84, activation="relu"),
        fc.layers.Dense(10),
    ]
)
optimizer = fc.optimizers.SGD(learning_rate=0.05, momentum=0.9, nesterov=True)
batch = 32

for epoch in range(10):
    order = rng.permutation(len(x_train))
    losses = []
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]

        # Forward, layer by layer: y = layer(x). Each layer keeps what its derivative will need.
        y = x_train[chosen]
        for layer in model.layers:
            y = layer.forward(y, training=True)

        # The loss, and how it changes with the scores: dy = (softmax(y) - one_hot(label)) / batch.
        loss, dy = fc.losses.softmax_cross_entropy(y, y_train[chosen])
        losses.append(loss)

        # Backward, in reverse: the chain rule. Each layer turns d loss / d output into d loss / d input, and
        # leaves d loss / d weights in parameter.grad.
        for layer in reversed(model.layers):
            dy = layer.backward(dy)

        # Step: weights move against their gradients.
        optimizer.step(model.parameters)

    right = (model.forward(x_test).argmax(axis=1) == y_test).mean()
    print(f"epoch {epoch + 1:2}: loss {np.mean(losses):.4f}, right on {right:.1%} of the test digits")
