"""The client side of CARLA: one code path for a real server and for the embedded one.

`Drive` (drive.py) is an ego vehicle with cameras in a running world, used inside one process.
`DriveProcess` (remote.py) runs a `Drive` in a child process: the CARLA library ends its process in
ways that Python cannot catch (see docs/carla.md), so everything that must go on lives outside it.
"""
