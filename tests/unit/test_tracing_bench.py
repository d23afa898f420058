"""The layer sweep and `bench tracing`: rows, the best layer, agreement and speed, and what the command writes."""

import json

import numpy as np
import pytest
from paths import PRESETS
from typer.testing import CliRunner

from editlab.bench import layers, tracing
from editlab.bench.editing import Setup, at_each
from editlab.bench.layers import LayerRow, best
from editlab.bench.tracing import FactRow
from editlab.cli.__main__ import app
from editlab.errors import BadRequest, Cancelled
from editlab.facts import EditRequest
from editlab.figures import layers as figures
from editlab.insight.tracing import Tracing, trace
from editlab.probes import Ground, passages
