"""Doctor where there is no environment: what can be said with the standard library alone."""

import json
from typing import TYPE_CHECKING, Any, Dict

from stash_sense_plugin.start import lines, machine, request, worker
from stash_sense_plugin.start.fault import StartError

if TYPE_CHECKING:
    from stash_sense_plugin.start.cold import Visit


def answer(visit: "Visit", needs: str) -> bytes:
    """Say what can be said without an environment."""
    found = machine.look(visit.home.folder)
    report = facts(visit, found)
    for name, value in report.items():
        request.show(lines.line("info", "{}: {}".format(name, value)))
    remedy = _remedy(found)
    request.show(lines.line("warning", "{}: {}".format(needs, remedy)))
    return json.dumps({"output": dict(report, remedy=remedy)}).encode()


def facts(visit: "Visit", found: machine.Machine) -> "Dict[str, Any]":
    """Return what decides how Stash Sense runs here, for people."""
    pythons = ["{0.name} ({0.path})".format(one) for one in found.interpreters]
    lives = worker.alive(visit.home, visit.request.package)
    return {
        "system": "{0.system} {0.architecture} {0.libc}".format(found).strip(),
        "python": ", ".join(pythons) or "none",
        "processors": found.processors,
        "memory_gb": round(found.memory_bytes / 1e9, 1),
        "disk_free_gb": round(found.disk_free_bytes / 1e9, 1),
        "home": visit.home.folder,
        "environment": visit.state,
        "worker": "answers" if lives else "not running",
    }


def _remedy(found: machine.Machine) -> str:
    """Return what to do: press Set up, or what keeps Set up from working here."""
    from stash_sense_plugin.start import plan

    try:
        plan.make(found, "", "")
    except StartError as error:
        return str(error)
    return "run the task Set up"
