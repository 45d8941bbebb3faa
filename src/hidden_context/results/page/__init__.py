"""The report: saved results to one self-contained HTML page and its figures. Nothing is trained."""
