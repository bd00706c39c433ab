"""The programs that the workbench runs, each of which is a part. process.py starts and stops their processes."""
