"""The web page in a real browser, served by the shipped process without a terminal: tabs, presses, restarts, small screens."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
waiting = pytest.importorskip("selenium.webdriver.support.ui")
keys = pytest.importorskip("selenium.webdriver.common.keys").Keys

ROOT = Path(__file__).resolve().parents[2]
BROWSER, DRIVER = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
PHONE = (390, 844)
PIN = "271828"
LINK = re.compile(r"http://127\.0\.0\.1:\d+/enter/\S+")
HOSTILE = "<img src=x onerror=document.title=1><script>document.title=2</script>"
OVERFLOW = "return document.documentElement.scrollWidth > window.innerWidth"
WIDER = """return [...document.querySelectorAll('.piece :not(thead, thead *)')]
    .filter(e => e.getBoundingClientRect().right > window.innerWidth).map(e => e.outerHTML.slice(0, 80))"""

pytestmark = pytest.mark.skipif(BROWSER is None or DRIVER is None, reason="this machine has no chromium with chromedriver")


@dataclass(kw_only=True)
class House:
    """The shipped process with its input closed, as in a container."""

    home: Path
    port: int
    process: subprocess.Popen[str] | None = None

    def start(self) -> str:
        """Start it; returns the link it printed."""
        settings = "settings: {desk.ticket_life_seconds: 900, desk.walk_seconds: 5, desk.reask_fraction: 0.5, desk.reask_delta: 0.2}\n"
        (self.home / "config.yaml").write_text(f"web: {{port: {self.port}}}\n{settings}", encoding="utf-8")
        command = [
            sys.executable, "-m", "bot", "--home", str(self.home / "data"), "--config", str(self.home / "config.yaml"),
            "--start", "2026-11-20",
        ]
        around = {**os.environ, "DESK_PIN": PIN, "OMP_NUM_THREADS": "1", "DESK_COMPILED": "0"}
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT, env=around,
        )
        assert self.process.stdout is not None
        while not (found := LINK.search(line := self.process.stdout.readline())):
            assert line, "the desk ended before it printed a link"
        return found.group()

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait; returns the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(timeout=30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@dataclass(kw_only=True)
class Person:
    """Somebody at a browser."""

    driver: Any

    def see(self, script: str) -> None:
        """Wait until a script gives something true."""
        waiting.WebDriverWait(self.driver, 20, poll_frequency=0.05).until(lambda driver: driver.execute_script(script), script)

    def find(self, words: str) -> None:
        """Wait for words on the page."""
        self.see(f"return document.querySelector('#log').innerText.includes({json.dumps(words)})")

    def say(self, text: str) -> None:
        self.driver.find_element("id", "text").send_keys(text + "\n")

    def press(self, label: str, times: int = 1) -> None:
        """Press the last button of that label, so many times without a pause."""
        last = f"[...document.querySelectorAll('.buttons button')].filter(b => b.textContent.startsWith({json.dumps(label)})).at(-1)"
        self.see(f"return {last} !== undefined")
        self.driver.execute_script(f"const b = {last}; b.scrollIntoView({{block: 'center'}}); for (let i = 0; i < {times}; i++) b.click()")

    def resize(self, size: tuple[int, int]) -> None:
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    house = House(home=tmp_path, port=port)
    yield house
    if house.process is not None and house.process.poll() is None:
        house.end(signal.SIGKILL)


@pytest.fixture(scope="module")
def person() -> Iterator[Person]:
    """One browser for all stories; each desk has a port, and so a cookie, of its own."""
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,900"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield Person(driver=driver)
    driver.quit()


def orders(house: House) -> int:
    """How many orders were ever sent, asked of the running desk."""
    command = [sys.executable, "-m", "bot", "do", "--json", "--home", str(house.home / "data"), "fills"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=True)
    return len(set(re.findall(r"O[0-9A-Z]{7}", done.stdout)))


def test_page_when_a_trade_is_made_in_two_tabs_then_both_keep_step_and_a_double_press_acts_once(house: House, person: Person) -> None:
    driver = person.driver
    driver.get(house.start())
    person.see("return location.pathname === '/' && document.querySelector('#log') !== null")
    first = driver.current_window_handle
    driver.switch_to.new_window("tab")
    driver.get(f"http://127.0.0.1:{house.port}/")
    second = driver.current_window_handle
    person.press("First guided trade")
    person.find("At expiry")

    driver.switch_to.window(first)
    person.find("At expiry")
    person.press("Confirm", times=2)
    person.find("Filled: ")
    driver.switch_to.window(second)
    person.find("Filled: ")
    person.press("Confirm")
    person.find("already")
    driver.refresh()
    person.find("Filled: ")

    assert orders(house) == 1
    assert [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_page_when_the_desk_dies_between_card_and_press_then_goes_on_where_it_was(house: House, person: Person) -> None:
    driver = person.driver
    driver.get(house.start())
    person.see("return document.querySelector('#log') !== null")
    person.say("open put_credit_spread XSP 1")
    person.find("At expiry")
    house.end(signal.SIGKILL)
    person.see("return document.querySelector('#lost').hidden === false")
    house.start()
    person.see("return document.querySelector('#lost').hidden")
    person.press("Confirm")
    person.find("Filled: ")
    driver.refresh()
    person.find("At expiry")

    assert orders(house) == 1
    assert house.end(signal.SIGTERM) == 0


def test_page_when_used_on_a_phone_and_by_keys_then_nothing_overflows_no_markup_runs_no_pin_is_seen(house: House, person: Person) -> None:
    driver = person.driver
    driver.get(house.start())
    person.see("return document.querySelector('#log') !== null")
    person.resize(PHONE)
    person.say(f"note {HOSTILE}")
    person.find("Noted: <img")
    person.say("open iron_condor SPY 1")
    person.press("Confirm")
    person.find("Filled: ")
    person.say("positions")
    person.find("Open trades")
    person.say("config")
    person.find("web")

    assert not driver.execute_script(OVERFLOW)
    assert driver.execute_script(WIDER) == []
    assert "Thetadesk" in driver.title
    assert driver.find_elements("css selector", "#log img[src=x], #log script") == []

    # The same page by keyboard alone, as a screen reader hears it: halt, and lift it with a PIN nobody sees.
    driver.refresh()
    person.see("return document.querySelector('#log') !== null")
    driver.execute_script("document.activeElement.blur()")
    driver.switch_to.active_element.send_keys(keys.TAB)
    skip = driver.switch_to.active_element.text
    driver.switch_to.active_element.send_keys(keys.TAB)
    halt = driver.switch_to.active_element.text
    driver.switch_to.active_element.send_keys(keys.ENTER)
    person.find("The desk is HALTED")
    person.see("return document.body.dataset.tone === 'halted' && document.title.includes('HALTED')")
    person.see("return document.querySelector('#urgent').textContent.includes('HALTED')")
    driver.find_element("id", "text").send_keys("unhalt\n")
    person.see("return document.querySelector('#text').type === 'password'")
    driver.find_element("id", "text").send_keys(PIN + "\n")
    person.see("return document.body.dataset.tone === 'calm'")

    assert (skip, halt) == ("To the input", "Halt")
    assert driver.execute_script("return document.querySelector('#log').getAttribute('aria-live')") == "polite"
    assert PIN not in driver.page_source
    assert driver.find_element("id", "text").get_attribute("type") == "text"
