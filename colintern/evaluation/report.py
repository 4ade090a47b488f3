"""placeholder"""
def write_report(run_path: str) -> str:
    return run_path
