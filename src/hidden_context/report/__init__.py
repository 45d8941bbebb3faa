"""Results as text, as one self-contained HTML page, and as figures. Nothing is trained."""
