"""What a camera sees: sizes, resizing, intrinsics, viewing rays, the ground, depth and points."""
