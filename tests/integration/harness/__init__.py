"""What the integration tests, the demo and the benchmark share: real servers in temporary folders, clients and mail helpers.

Standard library only. Everything listens on loopback and is stopped when its Workspace closes.
"""
