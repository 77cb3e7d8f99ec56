"""Lesson 10: nine optimizers run down an elongated bowl.

The loss is f(x, y) = (x² + 30 y²) / 2: a valley 30 times steeper across than along. The claims:
gradient descent runs down the steep side first and then crawls along the valley; momentum is much faster, but
overshoots; Nesterov, who measures the gradient a step ahead, overshoots less and is faster still; AdaGrad
shrinks the steep direction's rate and so turns towards the optimum early, but slows down before it is there;
RMSProp mends that by forgetting old gradients, and Adam adds momentum.

python examples/lessons/10_optimizers_on_a_bowl.py [--quick] [--out FOLDER]
"""

from __future__ import annotations

import numpy as np
from _figures import figure, save
from _lesson import options, verdict

from fastconv import Parameter, optimizers

CURVATURE = np.array([1.0, 30.0])
START = np.array([-10.0, 3.0])
CLOSE = 0.01  # of the distance at the start

RACERS = {
    "SGD": lambda: optimizers.SGD(0.02),
    "momentum": lambda: optimizers.SGD(0.02, momentum=0.9),
    "Nesterov": lambda: optimizers.SGD(0.02, momentum=0.9, nesterov=True),
    "AdaGrad": lambda: optimizers.Adagrad(0.5),
    "RMSProp": lambda: optimizers.RMSprop(0.1),
    "Adam": lambda: optimizers.Adam(0.5),
    "AdaMax": lambda: optimizers.Adamax(0.5),
    "Nadam": lambda: optimizers.Nadam(0.5),
    "Adadelta": lambda: optimizers.Adadelta(1.0, epsilon=1e-3),
}


def slope(point):
    """The gradient of f."""
    return CURVATURE * point


def path(optimizer, steps):
    """Where it is before each step and after the last: (steps + 1, 2)."""
    point = Parameter(START, "point")
    way = [point.value.astype(float)]
    for _ in range(steps):
        point.grad = slope(point.value)
        optimizer.step([point])
        way.append(point.value.astype(float))
    return np.array(way)


def distance(way):
    """How far from the optimum, as a share of the distance at the start."""
    return np.linalg.norm(way, axis=1) / np.linalg.norm(START)


def arrival(way):
    """The step after which it stays close to the optimum, or None."""
    away = np.flatnonzero(distance(way) > CLOSE)
    return None if away[-1] == len(way) - 1 else int(away[-1]) + 1


def turned_away(way):
    """The angle in degrees between each step and the straight line to the optimum."""
    steps, straight = np.diff(way, axis=0), -way[:-1]
    cosine = (steps * straight).sum(1) / np.linalg.norm(steps, axis=1) / np.linalg.norm(straight, axis=1)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def detour(way):
    """The length of the way, in straight distances from start to end."""
    return np.linalg.norm(np.diff(way, axis=0), axis=1).sum() / np.linalg.norm(way[-1] - way[0])


def overshoot(way):
    """How far it swings beyond the optimum along the valley, where it started at x < 0."""
    return max(0.0, float(way[:, 0].max()))


def contours(axis, x=(-11.5, 5.5), y=(-4.2, 4.2)):
    across, along = np.meshgrid(np.linspace(*x, 200), np.linspace(*y, 200))
    height = (CURVATURE[0] * across**2 + CURVATURE[1] * along**2) / 2
    axis.contour(across, along, height, levels=np.geomspace(0.5, 400, 14), colors="0.75", linewidths=0.7)
    axis.plot(0, 0, "k*", markersize=8)
    axis.set(xlim=x, ylim=y, aspect="equal")
    axis.grid(False)


chosen = options(__doc__)
ways = {name: path(make(), 300) for name, make in RACERS.items()}

fig, axes = figure(rows=3, columns=3, height=2.2)
for axis, (name, way) in zip(axes.flat, ways.items(), strict=True):
    contours(axis)
    axis.plot(*way.T, ".-", color="C0", markersize=3, linewidth=1)
    there = arrival(way)
    axis.set_title(
        f"{name}: " + (f"there in {there} steps" if there else "not there in 300 steps"), fontsize=10
    )
fig.suptitle("The way down an elongated bowl (star: the optimum)")
save(fig, chosen.out, "10_paths")

fig, axes = figure(height=4)
for number, (name, way) in enumerate(ways.items()):
    axes[0, 0].plot(distance(way), label=name, color=f"C{number}", linestyle="-" if number < 5 else "--")
axes[0, 0].axhline(CLOSE, color="black", linewidth=0.8, linestyle=":")
axes[0, 0].set(
    yscale="log", xlim=(0, 150), ylim=(1e-3, 1.6), xlabel="step", ylabel="distance from the optimum / start's"
)
axes[0, 0].legend(ncols=3, fontsize=9, loc="lower left")
save(fig, chosen.out, "10_distances")

# The slide's picture: the same point and momentum, and the gradient measured in two places.
rate, momentum = 0.02, 0.9
before, point = ways["momentum"][[1, 2]]
carried = momentum * (point - before)
pushes = {
    "momentum": ("tab:orange", "momentum's gradient: where the step starts", -rate * slope(point)),
    "Nesterov": ("tab:green", "Nesterov's: after the carried part", -rate * slope(point + carried)),
}
fig, axes = figure(columns=2, height=3.6)
axis = axes[0, 0]
contours(axis, (point[0] - 2.4, point[0] + 4.4), (-5.6, 0.4))
arrow = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.009, "zorder": 3}
axis.quiver(*point, *carried, color="gray", label="carried: 0.9 · the last step", **arrow)
for colour, label, push in pushes.values():
    axis.quiver(*(point + carried), *push, color=colour, label=label, **arrow)
    axis.plot(*(point + carried + push), "o", color=colour, markersize=8)
axis.plot(*point, "ko")
axis.annotate("start of the step", point, xytext=(8, 6), textcoords="offset points", fontsize=9)
axis.set_title("One step from the same place", fontsize=10)
axis.legend(fontsize=8, loc="lower right")
axis = axes[0, 1]
for name, (colour, *_) in pushes.items():
    axis.plot(ways[name][:60, 1], color=colour, linestyle="-", label=f"{name}, across the valley")
    axis.plot(ways[name][:60, 0], color=colour, linestyle="--", label=f"{name}, along the valley")
axis.set(xlabel="step", ylabel="coordinate")
axis.set_title("Both swing; Nesterov's swings die away first", fontsize=10)
axis.legend(fontsize=8)
save(fig, chosen.out, "10_momentum_and_nesterov")

angles = {name: turned_away(ways[name]) for name in ("SGD", "AdaGrad")}
fig, axes = figure(columns=2, height=3.2)
contours(axes[0, 0])
for name, colour in (("SGD", "C0"), ("AdaGrad", "C3")):
    axes[0, 0].plot(*ways[name].T, ".-", color=colour, label=name, markersize=3, linewidth=1)
    axes[0, 1].plot(angles[name][:100], color=colour, linestyle="-", label=name)
axes[0, 0].legend(fontsize=9)
axes[0, 1].set(xlabel="step", ylabel="angle between the step and\nthe straight way, in degrees", ylim=(0, 90))
axes[0, 1].legend(fontsize=9)
save(fig, chosen.out, "10_adagrad_turns")

steps = {name: arrival(way) or np.inf for name, way in ways.items()}
print("steps until within 1% of the distance:", steps, "\n")
verdict(
    "momentum is much faster than plain gradient descent",
    f"{steps['momentum']} steps against {steps['SGD']} at the same rate {rate}",
    steps["momentum"] < steps["SGD"],
)
verdict(
    "Nesterov overshoots less than momentum and arrives earlier",
    f"{overshoot(ways['Nesterov']):.2f} beyond the optimum along the valley against "
    f"{overshoot(ways['momentum']):.2f}; there after {steps['Nesterov']} steps against {steps['momentum']}",
    overshoot(ways["Nesterov"]) < overshoot(ways["momentum"]) and steps["Nesterov"] < steps["momentum"],
)
verdict(
    "AdaGrad points more directly towards the optimum than gradient descent",
    f"its first step is {angles['AdaGrad'][0]:.0f}° off the straight way, gradient descent's "
    f"{angles['SGD'][0]:.0f}°; its way is {detour(ways['AdaGrad']):.3f} times the straight one, gradient "
    f"descent's {detour(ways['SGD']):.3f} times",
    angles["AdaGrad"][0] < angles["SGD"][0] and detour(ways["AdaGrad"]) < detour(ways["SGD"]),
)
verdict(
    "AdaGrad slows down too early; RMSProp, which forgets old gradients, arrives",
    f"after 300 steps AdaGrad with rate 0.5 still has {distance(ways['AdaGrad'])[-1]:.1%} of the way "
    f"to go; "
    f"RMSProp, with only 0.1, is there after {steps['RMSProp']}",
    np.isinf(steps["AdaGrad"]) and np.isfinite(steps["RMSProp"]),
)
