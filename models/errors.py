"""Everything that the models room raises.

ModelError
├── EncoderMissing      the base encoder's package, folder or hub id cannot be loaded
├── EncoderDamaged      its weights are not the file that was published
├── AdapterMissing      no adapter lies in the folder that was named
├── AdapterDamaged      an adapter is there, but incomplete, altered or made for another encoder
├── GraphUnusable       OpenVINO cannot export or compile the model
├── RuntimeMissing      the runtime or precision that was asked for is not to be had here
├── TrainingDiverged    the loss or its gradient is no number any more
└── DataUnusable        a training or evaluation file lacks a column, a label or rows
"""

from __future__ import annotations


class ModelError(Exception):
    """A model cannot be loaded, trained or measured; the message names the thing and the way out."""


class EncoderMissing(ModelError):
    """The base encoder cannot be found where the settings say it is."""


class EncoderDamaged(ModelError):
    """The base encoder's weights differ from the published file."""


class AdapterMissing(ModelError):
    """There is no adapter in the named folder."""


class AdapterDamaged(ModelError):
    """The adapter's files are incomplete, altered, or belong to another encoder."""


class GraphUnusable(ModelError):
    """OpenVINO cannot export, read or compile a network."""


class RuntimeMissing(ModelError):
    """What was asked to run the model, or its precision, is not installed or does not go with the device."""


class TrainingDiverged(ModelError):
    """A run came to a loss or gradient that is no finite number: more steps would only spoil more weights."""


class DataUnusable(ModelError):
    """A labelled file cannot be read as training or evaluation data."""
