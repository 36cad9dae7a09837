"""The room that composes, schedules and stores: feeds in, headlines scored and kept, alerts sent.

It alone knows the other rooms. Importing it imports nothing heavy: each module imports what it needs.
"""

__version__ = "0.1.0"
