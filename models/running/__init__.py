"""Running a model: texts as tokens in batches, through torch or OpenVINO, on what the machine has."""
