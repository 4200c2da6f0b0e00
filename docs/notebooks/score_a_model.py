# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Score a model and look at it
#
# This notebook evaluates a model on a task, reads the numbers, draws them, and listens to what the model
# accepts and rejects. Model and signals are those of the starter suite that comes with the package. It is
# small, so that nothing is downloaded and one core is enough; with a model of the Hub the code is the same.
# Cells with `assert` check what the text says.

# %%
import matplotlib.pyplot as plt

import goodenough as ge

# %% [markdown]
# ## Load a suite and a model
#
# A **suite** holds clips and **signals**. A signal is a part of a clip that alone still
# makes one model, its **reference**, give the class that it gives the whole clip. The column `family` says
# how it was searched: models are ranked by signals of the family `responsibility@bands32`. Degenerate signals, of
# the class that the reference also gives silence, say nothing and are in no rate.

# %%
suite = ge.load_suite()
suite.to_frame().query("task == 'emotion'")

# %% [markdown]
# `load_model` takes a Hub id, such as `superb/hubert-large-superb-er`, or a folder. This is a folder of the
# starter suite: a candidate, that is, a model that none of the signals were made with.

# %%
folder = next(path for path in ge.starter_models() if "emotion" in path.name)
model = ge.load_model(folder, device="cpu")
model

# %% [markdown]
# ## Evaluate it
#
# `evaluate` gives the model the signals of every reference and, with each signal, its controls. The model
# **accepts** a sound if it gives it the class that the reference gave the whole clip.
#
# `ci_width=0.06` stops as soon as the lift is known to 6 percentage points to either side: enough for a
# first look. Without it the model is asked about everything, which takes several times as long and is what
# a submission needs. Answers are cached: when this cell is run again, the model is not asked.

# %%
result = ge.evaluate(
    model, suite, task="emotion", ci_width=0.06, progress=False
)
result.lift

# %% [markdown]
# This is the **lift**, which models are ranked by: the share of the references' signals that the model
# accepts, called **transfer**, minus the share of **swap** controls that it accepts. A swap control is made
# of the same part at the same energy, but of another clip, of another class. A model that always
# gives one class accepts both equally often and has a lift of 0. In brackets is the 95 % interval; `n` is
# the number of signals.

# %%
assert result.lift.low > 0
assert result.lift.high - result.lift.low <= 2 * 0.06

# %% [markdown]
# The interval lies above 0: some of what convinced the references convinces this model, too, and not just
# because of how loud it is or where in the spectrum it lies.
#
# ## Whose signals does it accept?

# %%
rates = (
    result.to_frame()
    .query("family == 'responsibility@bands32'")
    .set_index("reference")
)
rates.index = rates.index.str.removeprefix("local/starter-emotion-")
rates[["transfer", "swap", "lift", "lift_low", "lift_high", "lift_n"]].round(2)

# %%
figure, axes = plt.subplots(figsize=(7, 2.4), dpi=150, layout="constrained")
errors = [rates["lift"] - rates["lift_low"], rates["lift_high"] - rates["lift"]]
axes.errorbar(rates["lift"], rates.index, xerr=errors, fmt="o", capsize=3)
axes.axvline(0, color="grey", linewidth=1)
axes.set(xlabel="Lift (95 % interval)", ylabel="Signals of")
plt.show()

# %% [markdown]
# The intervals of single references are wide, and they overlap. That the model shares more with one
# reference than with another is a guess until everything has been asked.
#
# ## Compare it with the references
#
# The references have judged each other's signals. `plot_matrix` puts the model next to them: each row holds
# the signals of one reference, each column the answers of one model.

# %%
ge.plot_matrix(suite, "emotion", extra=[result], rate="lift")

# %% [markdown]
# The same numbers as a table, and their mean for each model over the signals of the others:

# %%
matrix = ge.transfer_matrix(suite, "emotion", extra=[result], rate="lift")
lifts = matrix.stack()
foreign = [reference != model for reference, model in lifts.index]
means = lifts[foreign].groupby("model").mean()
means.sort_values(ascending=False).to_frame("mean lift").round(3)

# %% [markdown]
# ## Is it just accuracy?
#
# `result.verdicts` holds every single answer. On whole clips the model is right this often:

# %%
verdicts = result.verdicts
whole = verdicts[verdicts["stimulus"] == "whole"]
accuracy = (whole["predicted"] == whole["truth"]).mean()
print(f"{accuracy:.0%} of {len(whole)} clips")

# %% [markdown]
# And this is what it makes of signals, by the class that they carry:

# %%
signals = verdicts[
    (verdicts["stimulus"] == "signal")
    & (verdicts["family"] == "responsibility@bands32")
]
table = signals.groupby(["expected", "predicted"]).size().unstack(fill_value=0)
table.div(table.sum(axis=1), axis=0).round(2)

# %%
accepted = (signals["predicted"] == signals["expected"]).mean()
assert accuracy > accepted + 0.2

# %% [markdown]
# It is right about most whole clips, and rejects many of the signals. That is no fault of this model alone: a
# signal is what one reference needs, and another model may need something else. Accuracy cannot show that.
#
# ## Listen
#
# How often does it accept each signal of one reference, and its controls?

# %%
asked = verdicts[
    (verdicts["reference"] == "local/starter-emotion-whisper")
    & (verdicts["family"] == "responsibility@bands32")
]
accepts = asked["predicted"] == asked["expected"]
shares = accepts.groupby([asked["signal_id"], asked["stimulus"]]).mean()
by_signal = shares.unstack()[["signal", "swap", "matched"]]
by_signal.head().round(2)

# %% [markdown]
# Take a signal that it accepts while it rejects all swap controls and all matched controls, which are of
# the same clip and shape at other frequencies. Below are the spectrum of the clip with the frequencies that
# the signal keeps, and the sound of the signal. All sounds are played at the same peak; the gain is next to
# the player. Narrow bands sound like tones: start with the volume low.

# %%
chosen = by_signal.query("signal == 1 and swap == 0 and matched == 0").index[0]
signal = next(
    each
    for each in suite.signals("emotion", "starter-emotion-whisper")
    if each.record.signal_id == chosen
)
signal

# %% [markdown]
# The clip that it is a part of:

# %%
clip = signal.play_clip()
clip

# %%
clip.plot()

# %% [markdown]
# The signal on the same scale of loudness:

# %%
signal.play().plot(loudest=clip)

# %% [markdown]
# And its swap control: the same frequencies of a clip of another class, at the same energy. This model
# rejects it, so what convinced it is what the first clip has at these frequencies.

# %%
swap = suite.controls("emotion", signal)["swap"]
swap

# %%
swap.plot(loudest=clip)

# %% [markdown]
# ## Keep it
#
# `save` writes the entry, every verdict, and a report with sounds. `goodenough submit` wants a complete
# one, so leave out `ci_width` for that.

# %%
saved = result.save("results")
sorted(path.name for path in saved.iterdir())

# %% [markdown]
# What next? [Study a suite](study_a_suite.py) looks at all references at once, [See and
# hear](../gallery.md) has examples of every task, and [Definitions](../definitions.md) says what every
# number means.
