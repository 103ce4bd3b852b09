"""What people use: each folder is one service, and none imports another."""
