"""The judgement as one web page that needs nothing else."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from singerkit_testing.judgement import topics_of
from singerkit_testing.report.text import LABELS, MARKS, printable
from singerkit_testing.rules import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from singerkit_testing.judgement import Judgement
    from singerkit_testing.rules import Finding, Result

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2330; --soft: #5d6778; --line: #dfe3ea; --paper: #fff; --inset: #f5f6f9;
  --fail: #b3261e; --error: #7b3fb5; --warn: #946200; --info: #0b6a8f; --skipped: #7a8394; --pass: #21713b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ef; --soft: #9aa5b8; --line: #333b49; --paper: #14181f;
  --inset: #1d232d; --fail: #ff8a80; --error: #cf9fff; --warn: #f0bd4f; --info: #67c7ee; --skipped: #8e98a9;
  --pass: #74cf8f; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 2.5rem 1.25rem 4rem; color: var(--ink); background: var(--paper);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; }
h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; text-transform: capitalize; }
code, pre { font: .84rem/1.45 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
.facts { color: var(--soft); margin: 0; overflow-wrap: anywhere; }
.sentence { font-size: 1.15rem; font-weight: 600; margin: 1.25rem 0 1rem; }
.bar { display: flex; height: .6rem; border-radius: .3rem; overflow: hidden; gap: 2px; }
.bar i { min-width: 4px; background: var(--colour); }
.counts { display: flex; flex-wrap: wrap; gap: .4rem; margin: .9rem 0 0; padding: 0; }
.counts label { cursor: pointer; border: 1px solid var(--line); border-radius: 1rem; padding: .1rem .75rem;
  color: var(--colour); }
.counts label:has(:checked) { background: var(--inset); border-color: var(--colour); }
.counts input { position: absolute; opacity: 0; }
.counts label:focus-within { outline: 2px solid var(--colour); }
.rule { border-top: 1px solid var(--line); }
.rule:last-child { border-bottom: 1px solid var(--line); }
.rule > summary { display: grid; grid-template-columns: 1.5rem 6rem 1fr auto; gap: .5rem; padding: .4rem .25rem;
  cursor: pointer; list-style: none; align-items: baseline; }
.rule > summary::-webkit-details-marker { display: none; }
.rule > summary:hover { background: var(--inset); }
.mark, .label { color: var(--colour); font-weight: 600; }
.label { font-size: .85rem; font-weight: 400; white-space: nowrap; }
.body { padding: .1rem .5rem 1rem 8.5rem; }
.body p { margin: .35rem 0; }
.body pre { margin: .3rem 0 .8rem; padding: .55rem .75rem; background: var(--inset); border-radius: .35rem;
  border-left: 3px solid var(--colour); white-space: pre-wrap; overflow-wrap: anywhere; }
.body dl { display: grid; grid-template-columns: 4.5rem 1fr; gap: .2rem .5rem; margin: .6rem 0 0; }
.body dt { color: var(--soft); } .body dd { margin: 0; }
.fail { --colour: var(--fail); } .error { --colour: var(--error); } .warn { --colour: var(--warn); }
.info { --colour: var(--info); } .skipped { --colour: var(--skipped); } .pass { --colour: var(--pass); }
.hidden { display: none; }
@media (max-width: 40rem) { .body { padding-left: .5rem; } .rule > summary { grid-template-columns: 1.2rem 5.2rem 1fr; }
  .rule > summary .label { display: none; } }
"""

_SCRIPT = """
document.querySelector(".counts").addEventListener("change", () => {
  const shown = [...document.querySelectorAll(".counts input:checked")].map(box => box.value);
  for (const rule of document.querySelectorAll(".rule"))
    rule.classList.toggle("hidden", shown.length > 0 && !shown.some(verdict => rule.classList.contains(verdict)));
  for (const topic of document.querySelectorAll("section"))
    topic.classList.toggle("hidden", !topic.querySelector(".rule:not(.hidden)"));
});
"""


def write(judgement: Judgement) -> str:
    """Give the page: the whole in a sentence, a bar, buttons that pick verdicts, and the rules by topic."""
    title = f"{judgement.name}: Singer conformance"
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{_text(title)}</title>
<style>{_STYLE}</style>
<h1>{_text(judgement.name)}</h1>
<p class="facts">{judgement.kind} · <code>{_text(judgement.command_line)}</code></p>
<p class="facts">{judgement.started:%Y-%m-%d %H:%M} UTC · {judgement.seconds:.1f} s</p>
<p class="sentence {_worst(judgement)}" style="color: var(--colour)">{_text(judgement.sentence())}</p>
{_bar(judgement)}
{_counts(judgement)}
{_joined(_topic(topic, results) for topic, results in topics_of(judgement.results).items())}
<script>{_SCRIPT}</script>
</html>
"""


def _worst(judgement: Judgement) -> str:
    if not judgement.exit_code():
        return Verdict.PASS
    return next((verdict for verdict, count in judgement.counts.items() if count), Verdict.SKIPPED)


def _bar(judgement: Judgement) -> str:
    parts = (f'<i class="{verdict}" style="flex: {count}"></i>' for verdict, count in judgement.counts.items() if count)
    return f'<div class="bar" aria-hidden="true">{_joined(parts)}</div>'


def _counts(judgement: Judgement) -> str:
    parts = (
        f'<label class="{verdict}"><input type="checkbox" value="{verdict}">{count} {LABELS[verdict]}</label>'
        for verdict, count in judgement.counts.items()
        if count
    )
    return f'<div class="counts" title="Show only these">{_joined(parts)}</div>'


def _topic(topic: str, results: list[Result]) -> str:
    return f"<section><h2>{_text(topic)}</h2>{_joined(map(_rule, results))}</section>"


def _rule(result: Result) -> str:
    rule, verdict = result.rule, result.verdict
    is_open = " open" if verdict in (Verdict.FAIL, Verdict.ERROR) else ""
    return f"""<details class="rule {verdict}" id="{rule.id}"{is_open}>
<summary><span class="mark">{MARKS[verdict]}</span><code>{rule.id}</code><span>{_text(rule.title)}</span>
<span class="label">{LABELS[verdict]}</span></summary>
<div class="body">{f"<p>{_text(result.note)}</p>" if result.note else ""}{_joined(map(_finding, result.findings))}
<dl><dt>severity</dt><dd>{rule.severity}</dd><dt>source</dt><dd>{_text(rule.source)}</dd>
<dt>remedy</dt><dd>{_text(rule.remedy)}</dd></dl></div>
</details>"""


def _finding(finding: Finding) -> str:
    stream = f"<code>{_text(finding.stream)}</code>: " if finding.stream else ""
    evidence = f"<pre>{_text(finding.evidence)}</pre>" if finding.evidence else ""
    return f"<p>{stream}{_text(finding.message)}</p>{evidence}"


def _text(value: str) -> str:
    return escape(printable(value))


def _joined(parts: Iterable[str]) -> str:
    return "\n".join(parts)
