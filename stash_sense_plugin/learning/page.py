"""One page for people: an evaluation with its plots, in a single file that loads nothing."""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from stash_sense_plugin.learning import plots
from stash_sense_plugin.learning.report import percent, with_sources

Values = Mapping[str, Any]

MOST_PLOTS = 60
"""Tags that get a plot of their own, those with most scenes; each is in the table."""

ORDERS: Mapping[str, tuple[str, Callable[[Values], Any]]] = {
    "often": ("scenes", lambda tag: -tag["positives"]),
    "best": ("F1", lambda tag: -(tag["shown"]["f1"] or 0)),
    "worst": ("F1, lowest first", lambda tag: tag["shown"]["f1"] or 0),
    "wrong": ("wrong", lambda tag: -tag["shown"]["wrong"]),
    "missed": ("missed", lambda tag: -tag["shown"]["missed"]),
    "name": ("name", lambda tag: tag["name"].casefold()),
}
"""How the table may be ordered: what it is called, and by what."""

STYLE = """
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --ink: #1b2430; --soft: #5b6675;
  --line: #dfe3e8; --blue: #1f6feb; --good: #1a7f4b; --bad: #c2410c; --warm: #fff4e5; }
@media (prefers-color-scheme: dark) { :root { --page: #14181d; --card: #1d232a; --ink: #e6eaef;
  --soft: #9aa6b4; --line: #323b45; --blue: #6ea8fe; --good: #4ecb8a; --bad: #ff9b63;
  --warm: #33291a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); line-height: 1.5;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 24px 16px 64px; }
h1 { font-size: 1.6rem; margin: 0 0 4px; } h2 { font-size: 1.15rem; margin: 36px 0 10px; }
p { margin: 6px 0; max-width: 72ch; } .soft { color: var(--soft); } small { color: var(--soft); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(230px, 1fr)); gap: 12px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 14px 16px; min-width: 0; }
.card h3 { margin: 0 0 6px; font-size: .95rem; font-weight: 600; overflow-wrap: anywhere; }
.figure { font-size: 1.9rem; font-weight: 650; font-variant-numeric: tabular-nums; }
.after { color: var(--good); font-size: .95rem; }
dl { display: grid; grid-template-columns: 1fr auto; gap: 2px 12px; margin: 8px 0 0;
  font-size: .88rem; } dt { color: var(--soft); }
dd { margin: 0; font-variant-numeric: tabular-nums; }
.note { background: var(--warm); border: 1px solid var(--line); border-radius: 10px;
  padding: 10px 14px; margin: 14px 0; }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; }
.row { display: grid; min-width: 860px; align-items: center; padding: 7px 14px; gap: 0 14px;
  grid-template-columns: minmax(150px, 1.6fr) 64px 1.3fr 1.3fr 64px 64px 60px 60px;
  border-top: 1px solid var(--line); font-size: .9rem; font-variant-numeric: tabular-nums; }
.row.head { border-top: 0; color: var(--soft); font-size: .8rem; order: -1; }
.row > :not(:first-child) { text-align: right; } .row > :first-child { overflow-wrap: anywhere; }
.rows { display: flex; flex-direction: column; }
.few { opacity: .62; }
.order { display: flex; flex-wrap: wrap; gap: 6px; align-items: center; margin: 0 0 10px;
  font-size: .88rem; }
.order label { border: 1px solid var(--line); border-radius: 999px; padding: 3px 11px;
  background: var(--card); cursor: pointer; }
.pick { position: absolute; opacity: 0; pointer-events: none; }
table { border-collapse: collapse; width: 100%; font-size: .9rem;
  font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 500; color: var(--soft); font-size: .8rem; }
th, td { padding: 7px 14px; border-top: 1px solid var(--line); vertical-align: top; }
td:not(.n) { min-width: 130px; overflow-wrap: anywhere; }
thead th { border-top: 0; } td.n, th.n { text-align: right; white-space: nowrap; }
.plots { display: grid; gap: 12px; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); }
.wide { grid-template-columns: repeat(auto-fit, minmax(280px, 1fr)); }
svg { width: 100%; height: auto; display: block; }
.field { fill: none; stroke: var(--line); } .grid { stroke: var(--line); stroke-width: .6; }
.tick, .axis { fill: var(--soft); font-size: 10.5px; text-anchor: middle; }
.tick.up { text-anchor: end; } .even { stroke: var(--soft); stroke-dasharray: 4 4; }
.curve { fill: none; stroke: var(--blue); stroke-width: 2; stroke-linejoin: round; }
.whisker { stroke: var(--blue); stroke-width: 1.4; opacity: .55; } .dot { fill: var(--blue); }
rect.right { fill: var(--good); } rect.wrong { fill: var(--bad); }
circle.shown { fill: var(--card); stroke: var(--ink); stroke-width: 2; }
circle.written { fill: var(--ink); }
.key { display: flex; flex-wrap: wrap; gap: 4px 16px; font-size: .82rem; color: var(--soft); }
.key i { display: inline-block; width: 10px; height: 10px; border-radius: 5px; margin-right: 5px; }
.scenes { margin: 4px 0 0; padding-left: 18px; font-size: .86rem; overflow-wrap: anywhere; }
summary { cursor: pointer; } details + details { margin-top: 6px; }
@media print { body { background: #fff; } .order { display: none; } }
"""


def page(told: Values) -> str:
    """Return a report (report.as_json, with its coverage) as HTML; all that was read is escaped."""
    parts = (
        _head(told),
        _summaries(told),
        _offers(told),
        _table(told["tags"]) if told["tags"] else "",
        _calibration(told),
        _gaps(told),
        _plots(told["tags"]),
        _words(),
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        # Whatever a title holds, nothing is run and nothing is fetched.
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\';'
        " style-src 'unsafe-inline'\">"
        f"<title>Stash Sense: evaluation</title><style>{STYLE}{_order_style()}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


# --- Beginning ------------------------------------------------------------------------------------


def _head(told: Values) -> str:
    coverage = told.get("coverage", {})
    note = ""
    if coverage.get("not_looked"):
        note = (
            f'<div class="note">{coverage["not_looked"]} more scenes have tags of yours and were'
            " not looked at: run Tag scenes for them, or <code>evaluate --look 50</code>, which"
            " writes nothing to Stash.</div>"
        )
    made = f" · {escape(told['made'])}" if told.get("made") else ""
    return (
        "<h1>How good is it on your library?</h1>"
        f'<p class="soft">Judged by {told["scenes"]} scenes ({told["groups"]} different ones) and'
        f" {len(told['tags'])} tags that you gave by hand{made}</p>{note}"
    )


def _summaries(told: Values) -> str:
    written, shown, after = told["written"], told["shown"], told["written_after"]
    offered = bool(told["thresholds"] or told["curves"])
    error = told["calibration"]["error"]
    error_after = told["calibration_after"]["error"] if offered else None
    cards = (
        _card("What is written", written, after if offered else None),
        _card("What is written or asked", shown, None),
        _plain_card(
            "Confidence is off by",
            percent(error),
            f"{percent(error_after)} with the new curves" if error_after is not None else "",
            {
                "Expected calibration error": f"{len(told['calibration']['bins'])} bins",
                "Brier score": _number(told["calibration"]["brier"]),
                "Claims": told["calibration"]["claims"],
            },
        ),
    )
    return f'<div class="cards">{"".join(cards)}</div>'


def _card(title: str, summary: Values, after: Values | None) -> str:
    micro, tree = summary["micro"], summary["hierarchical"]
    told = {
        "Precision": percent(micro["precision"]),
        "Recall": percent(micro["recall"]),
        "F1, each tag alike (macro)": percent(summary["macro"]["f1"]),
        "F1 with tags above": percent(tree["f1"]),
        "Right / wrong / missed": f"{micro['right']} / {micro['wrong']} / {micro['missed']}",
    }
    then = f"{percent(after['micro']['f1'])} with what is suggested" if after else ""
    return _plain_card(title, f"F1 {percent(micro['f1'])}", then, told)


def _plain_card(title: str, figure: str, after: str, told: Values) -> str:
    rows = "".join(f"<dt>{escape(key)}</dt><dd>{escape(str(told[key]))}</dd>" for key in told)
    then = f'<div class="after">{escape(after)}</div>' if after else ""
    return (
        f'<section class="card"><h3>{escape(title)}</h3><div class="figure">{escape(figure)}</div>'
        f"{then}<dl>{rows}</dl></section>"
    )


# --- Offers ---------------------------------------------------------------------------------------


def _offers(told: Values) -> str:
    if not told["thresholds"]:
        return ""
    rows = "".join(_offer(each) for each in told["thresholds"])
    wanted = percent(told["wanted_precision"])
    return (
        "<h2>Suggested thresholds</h2>"
        f"<p>From these confidences on, at least {wanted} of what is written was right on scenes"
        " that the curve had not seen. The task <b>Use what Evaluate suggests</b> takes them.</p>"
        '<div class="scroll"><table><thead><tr><th>Label</th><th>Tag</th>'
        '<th class="n">Now from</th><th class="n">Then from</th><th class="n">Precision</th>'
        '<th class="n">95 % interval</th><th class="n">Recall</th><th class="n">Scenes</th></tr>'
        f"</thead><tbody>{rows}</tbody></table></div>"
    )


def _offer(each: Values) -> str:
    low, high = each["precision_interval"]
    return _cells(
        (with_sources(each), each["tag"]),
        (
            percent(each["before"]),
            percent(each["apply"]),
            f"{percent(each['precision_before'])} → {percent(each['precision'])}",
            f"{100 * low:.0f} to {100 * high:.0f} %",
            f"{percent(each['recall_before'])} → {percent(each['recall'])}",
            str(each["positives"]),
        ),
    )


def _cells(words: Sequence[str], numbers: Sequence[str]) -> str:
    told = "".join(f"<td>{escape(word)}</td>" for word in words)
    counted = "".join(f'<td class="n">{escape(number)}</td>' for number in numbers)
    return f"<tr>{told}{counted}</tr>"


# --- Tags -----------------------------------------------------------------------------------------


def _table(tags: Sequence[Values]) -> str:
    """Make a table whose order is a choice of styles: no script is needed to sort it."""
    picks = "".join(
        f'<input class="pick" type="radio" name="order" id="by-{key}"'
        f"{' checked' if key == 'often' else ''}>"
        for key in ORDERS
    )
    labels = "".join(
        f'<label for="by-{key}">{escape(name)}</label>' for key, (name, _) in ORDERS.items()
    )
    places = {
        key: {tag["id"]: place for place, tag in enumerate(sorted(tags, key=by))}
        for key, (_, by) in ORDERS.items()
    }
    rows = "".join(_row(tag, {key: places[key][tag["id"]] for key in ORDERS}) for tag in tags)
    head = (
        '<div class="row head"><span>Tag</span><span>Scenes</span><span>Precision (95 %)</span>'
        "<span>Recall (95 %)</span><span>F1</span><span>AP</span><span>Wrong</span>"
        "<span>Missed</span></div>"
    )
    return (
        f"<h2>Tag by tag</h2><p class='soft'>Of what is written or asked. Pale rows have fewer than"
        " 30 scenes: look at their intervals.</p>"
        f'<div class="sorted">{picks}<div class="order">Order by {labels}</div>'
        f'<div class="scroll"><div class="rows">{head}{rows}</div></div></div>'
    )


def _row(tag: Values, places: Mapping[str, int]) -> str:
    order = ";".join(f"--by-{key}:{place}" for key, place in places.items())
    shown = tag["shown"]
    cells = (
        str(tag["positives"]),
        _with_interval(shown["precision"], tag["precision_interval"]),
        _with_interval(shown["recall"], tag["recall_interval"]),
        percent(shown["f1"]),
        _number(tag["average_precision"]),
        str(shown["wrong"]),
        str(shown["missed"]),
    )
    few = "" if tag["enough"] else " few"
    told = "".join(f"<span>{cell}</span>" for cell in cells)
    return f'<div class="row{few}" style="{order}"><span>{escape(tag["name"])}</span>{told}</div>'


def _with_interval(share: float | None, interval: Sequence[float]) -> str:
    if share is None:
        return "-"
    low, high = interval
    return f"{percent(share)} <small>{100 * low:.0f} to {100 * high:.0f}</small>"


def _order_style() -> str:
    return "".join(
        f"#by-{key}:checked ~ .scroll .row:not(.head) {{ order: var(--by-{key}); }}"
        f'#by-{key}:checked ~ .order label[for="by-{key}"]'
        " { background: var(--blue); color: var(--card); border-color: var(--blue); }"
        f'#by-{key}:focus-visible ~ .order label[for="by-{key}"]'
        " { outline: 2px solid var(--ink); outline-offset: 2px; }"
        for key in ORDERS
    )


# --- Calibration ----------------------------------------------------------------------------------


def _calibration(told: Values) -> str:
    now, after = told["calibration"], told["calibration_after"]
    if not now["claims"]:
        return ""
    cards = [_plot_card("Now", plots.reliability(now["bins"], "Reliability now"))]
    if told["curves"]:
        drawn = plots.reliability(after["bins"], "Reliability with the new curves")
        cards.append(_plot_card("With the new curves", drawn))
    cards.append(_plot_card("Claims", plots.histogram(now["bins"], "Claims by confidence")))
    return (
        "<h2>Is it as sure as it should be?</h2>"
        "<p>On the dashed line, what is 80 % sure is right in 80 of 100 cases. Bars at the dots are"
        " 95 % intervals.</p>"
        f'<div class="plots wide">{"".join(cards)}</div>'
        '<p class="key"><span><i style="background:var(--good)"></i>right</span>'
        '<span><i style="background:var(--bad)"></i>wrong</span></p>'
    )


def _plot_card(title: str, drawn: str) -> str:
    return f'<section class="card"><h3>{escape(title)}</h3>{drawn}</section>'


# --- Gaps -----------------------------------------------------------------------------------------


def _gaps(told: Values) -> str:
    tags = told["tags"]
    wrong = sorted((t for t in tags if t["wrong"]), key=lambda t: -t["shown"]["wrong"])
    missed = sorted((t for t in tags if t["missed"]), key=lambda t: -t["shown"]["missed"])
    unknown = told["unknown"]
    if not (wrong or missed or unknown):
        return ""
    cards = (
        _gap(
            "Wrong tags",
            "Said, and not among your tags. Perhaps you left them out?",
            [(tag["name"], tag["shown"]["wrong"], tag["wrong"]) for tag in wrong],
        ),
        _gap(
            "Missed tags",
            "Among your tags, and not said.",
            [(tag["name"], tag["shown"]["missed"], tag["missed"]) for tag in missed],
        ),
        _gap(
            "Tags that no detector knows",
            "Among your tags; no label of the vocabulary has them.",
            [(tag["name"], tag["scenes"], tag["examples"]) for tag in unknown],
        ),
    )
    return f'<h2>Gaps</h2><div class="cards">{"".join(cards)}</div>'


def _gap(title: str, about: str, rows: Sequence[tuple[str, int, Sequence[Values]]]) -> str:
    if not rows:
        return ""
    listed = "".join(
        f"<details><summary>{escape(name)} <small>({count})</small></summary>"
        f'<ul class="scenes">{"".join(map(_scene, scenes))}</ul></details>'
        for name, count, scenes in rows
    )
    return (
        f'<section class="card"><h3>{escape(title)}</h3><p class="soft">{escape(about)}</p>'
        f"{listed}</section>"
    )


def _scene(scene: Values) -> str:
    sure = f" <small>({percent(scene['confidence'])} sure)</small>" if scene["confidence"] else ""
    return (
        f"<li>{escape(scene['title'])} <small>scene {escape(scene['scene_id'])}</small>{sure}</li>"
    )


# --- Plots and words ------------------------------------------------------------------------------


def _plots(tags: Sequence[Values]) -> str:
    drawn = sorted((tag for tag in tags if tag["curve"]), key=lambda tag: -tag["positives"])
    if not drawn:
        return ""
    cards = "".join(
        _plot_card(
            f"{tag['name']} (AP {_number(tag['average_precision'])})",
            plots.precision_recall(tag, f"Precision and recall of {tag['name']}"),
        )
        for tag in drawn[:MOST_PLOTS]
    )
    left = len(drawn) - MOST_PLOTS
    more = f"<p class='soft'>{left} tags with fewer scenes are in the table alone.</p>"
    return (
        "<h2>Precision and recall, tag by tag</h2>"
        '<p class="key"><span><i style="background:var(--ink)"></i>what is written now</span>'
        '<span><i style="border:2px solid var(--ink)"></i>what is written or asked now</span></p>'
        f'<div class="plots">{cards}</div>{more if left > 0 else ""}'
    )


def _words() -> str:
    return (
        "<h2>What the words mean</h2>"
        "<p><b>Precision</b>: of what was said, how much is among your tags. <b>Recall</b>: of your"
        " tags, how much was said. <b>F1</b>: one figure of both. <b>AP</b>, average precision: how"
        " well scenes with the tag come before scenes without it, whatever the threshold; 1 is"
        " perfect. <b>With tags above</b>: where you said <i>Poodle</i> and it said <i>Dog</i>,"
        " what is above both counts as right.</p>"
        "<p>Your tags count where Stash had them before the first look and still has them; what"
        " Stash Sense wrote, and what came later, is no truth. A tag that you left out counts as"
        " wrong, so look at the examples before you blame a detector.</p>"
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
