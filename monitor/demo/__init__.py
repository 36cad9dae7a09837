"""The demo: an invented newsroom on loopback, weeks of invented news, and the real pipeline in front of it.

Everything here is fiction or plumbing around fiction; nothing outside `squall demo` imports it.
"""
