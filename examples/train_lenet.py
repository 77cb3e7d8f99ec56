"""The shortest way: LeNet-5 learns 1,442 handwritten digits with Keras' API, in a few seconds.

python examples/train_lenet.py
"""

from __future__ import annotations

import fastconv as keras

keras.utils.set_random_seed(1)

# 28×28 grey images, 0..255. Networks here take (N, H, W, channels), and learn best from numbers about 0 to 1.
(x_train, y_train), (x_test, y_test) = keras.datasets.digits.load_data()
x_train, x_test = x_train[..., None] / 255, x_test[..., None] / 255

model = keras.models.Sequential(
    [
        keras.layers.Conv2D(6, 5, activation="relu", padding="same", input_shape=[28, 28, 1]),
        keras.layers.AveragePooling2D(2),
        keras.layers.Conv2D(16, 5, activation="relu"),
        keras.layers.AveragePooling2D(2),
        keras.layers.Flatten(),
        keras.layers.Dense(120, activation="relu"),
        keras.layers.Dense(84, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.summary()
model.compile(optimizer="nadam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x_train, y_train, epochs=10, validation_data=(x_test, y_test))

# The network's opinion of the first five test images: a probability for each of the ten digits.
probabilities = model.predict(x_test[:5], verbose=0)
for digit, opinion in zip(y_test, probabilities, strict=False):
    print(f"a {digit}: it says {opinion.argmax()}, with probability {opinion.max():.2%}")
