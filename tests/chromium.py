"""A headless Chromium with its driver, as Debian packages them; tests skip where there is none."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

HOW_TO_INSTALL = (
    "no Chromium with its driver; to run this: apt-get install chromium chromium-driver"
)


@contextmanager
def chromium() -> Iterator[webdriver.Chrome]:
    """Never downloads anything: both programs must be on the path."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip(HOW_TO_INSTALL)
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    window = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield window
    finally:
        window.quit()


def show(window: webdriver.Chrome, page: Path, *, width: int, scheme: str = "light") -> None:
    """Open a file from disk at a width in CSS pixels, light or dark."""
    media = [{"name": "prefers-color-scheme", "value": scheme}]
    window.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    window.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    window.get(page.resolve().as_uri())
