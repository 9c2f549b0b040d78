"""How the report looks: system type, one column, light and dark, and black on white on paper.

Colours are those of Okabe and Ito (Color Universal Design, 2008), which people with each of the common kinds of colour
blindness tell apart; `INKS` are the ones of them that stand out from both papers. Text has a contrast of 4.5 or more on
its ground in both schemes (WCAG 2.2, 1.4.3), marks 3 or more (1.4.11). The tests hold both.
"""

from __future__ import annotations

LIGHT = {
    "paper": "#ffffff",
    "ink": "#1a1d21",
    "quiet": "#55606b",
    "hair": "#d5dade",
    "panel": "#f4f6f7",
    "mark": "#0072b2",
    "warn": "#9a3f00",
    "good": "#00664a",
    "bad": "#a32400",
}
DARK = {
    "paper": "#15181b",
    "ink": "#e8eaec",
    "quiet": "#a7b0b8",
    "hair": "#363c42",
    "panel": "#1e2226",
    "mark": "#56b4e9",
    "warn": "#f0a860",
    "good": "#3cc79b",
    "bad": "#ff9273",
}
PARTS = ("#56b4e9", "#e69f00", "#009e73", "#f0e442", "#cc79a7", "#d55e00")
"""Grounds of dark words, in both schemes."""
ON_PARTS = "#101214"
INKS_LIGHT = ("#1a1d21", "#0072b2", "#d55e00", "#00845f", "#a8558a", "#7a4a00")
INKS_DARK = ("#e8eaec", "#56b4e9", "#e8763a", "#1fb58c", "#cc79a7", "#e6b800")
"""Of lines, which bear letters too."""


def _set(colours: dict[str, str], inks: tuple[str, ...]) -> str:
    named = {**colours, **{f"line-{index}": ink for index, ink in enumerate(inks)}}
    return "".join(f"--{name}:{value};" for name, value in named.items())


_PARTS = "".join(f".part-{i}{{fill:{fill};background:{fill}}}" for i, fill in enumerate(PARTS))
_LINES = "".join(
    f".line-{i}{{stroke:var(--line-{i});background:var(--line-{i})}}.dot-{i}{{fill:var(--line-{i})}}"
    for i in range(len(INKS_LIGHT))
)

STYLE = f"""
:root{{color-scheme:light dark;{_set(LIGHT, INKS_LIGHT)}}}
@media screen and (prefers-color-scheme:dark){{:root{{{_set(DARK, INKS_DARK)}}}}}
*{{box-sizing:border-box}}
html{{-webkit-text-size-adjust:100%;text-size-adjust:100%}}
body{{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,
"Helvetica Neue",Arial,sans-serif;overflow-wrap:anywhere}}
main{{max-width:60rem;margin:0 auto;padding:2.5rem 1.5rem 4rem}}
h1{{font-size:1.75rem;line-height:1.2;margin:0;font-weight:650;letter-spacing:-.01em}}
h2{{font-size:1.2rem;line-height:1.3;margin:3rem 0 .5rem;font-weight:650}}
p{{margin:.5rem 0;max-width:44rem}}
.under{{color:var(--quiet);margin:.4rem 0 0}}
code{{font:.875em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}}
.command{{display:block;background:var(--panel);border:1px solid var(--hair);border-radius:4px;padding:.6rem .8rem;
margin:1.5rem 0 1rem;white-space:pre-wrap}}
dl{{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1.25rem;margin:1rem 0;font-size:.9rem}}
dt{{color:var(--quiet)}}
dd{{margin:0}}
.note{{border-left:3px solid var(--warn);padding:.1rem 0 .1rem .9rem;margin:1rem 0}}
.note strong{{color:var(--warn)}}
.note ul{{margin:.25rem 0;padding-left:1.1rem}}
.answer{{font-size:1.3rem;line-height:1.45;margin:2.5rem 0 .5rem;max-width:none;border-top:2px solid var(--ink);
padding-top:1.2rem}}
.answer strong{{font-weight:650;white-space:nowrap}}
.good{{color:var(--good)}}.bad{{color:var(--bad)}}.warn{{color:var(--warn)}}
.scroll{{overflow-x:auto;margin:1rem 0}}
.scroll:focus-visible{{outline:2px solid var(--mark);outline-offset:2px}}
table{{border-collapse:collapse;width:100%;font-size:.85rem;line-height:1.4;font-variant-numeric:tabular-nums}}
caption{{text-align:left;color:var(--quiet);padding:0 0 .4rem}}
caption span{{position:sticky;left:0;display:inline-block;max-width:calc(min(100vw,60rem) - 3rem)}}
td:not(.n){{min-width:5.5rem}}
th,td{{padding:.4rem .55rem;text-align:left;vertical-align:top;border-bottom:1px solid var(--hair)}}
thead th{{color:var(--quiet);font-weight:500;vertical-align:bottom;border-bottom-color:var(--quiet)}}
tbody th{{font-weight:500;min-width:8.5rem}}
th:first-child,td:first-child{{padding-left:0}}
th:last-child,td:last-child{{padding-right:0}}
.n{{text-align:right;white-space:nowrap}}
thead .n{{white-space:normal;overflow-wrap:normal}}
td small,th small{{display:block;color:var(--quiet);font-size:.9em;font-weight:400}}
figure{{margin:1.25rem 0}}
figcaption{{color:var(--quiet);font-size:.875rem;max-width:44rem;margin:0 0 .8rem}}
figure>.key{{margin:.6rem 0 .9rem}}
.key{{list-style:none;padding:0;margin:0 0 .8rem;font-size:.85rem;display:flex;flex-wrap:wrap;gap:.2rem 1.4rem}}
.key b{{font-weight:650}}
.swatch{{display:inline-block;width:.9rem;height:.65rem;margin-right:.4rem;-webkit-print-color-adjust:exact;
print-color-adjust:exact}}
svg{{display:block;overflow:visible;font-size:12px;fill:var(--ink)}}
text{{fill:var(--ink);paint-order:stroke;stroke:var(--paper);stroke-width:4px;stroke-linejoin:round}}
.tick,.figure{{font-variant-numeric:tabular-nums}}
.tick,.quiet{{fill:var(--quiet)}}
.heading{{font-weight:650;font-size:13px}}
.narrow{{display:none}}
.grid{{stroke:var(--hair);stroke-width:1}}
.mark{{fill:var(--mark)}}
.ridge{{fill:var(--mark);fill-opacity:.45;stroke:var(--mark);stroke-width:1.25;vector-effect:non-scaling-stroke}}
.base{{stroke:var(--quiet);stroke-width:1}}
.stroke{{stroke:var(--ink);stroke-width:2;fill:none}}
.stroke-dot{{stroke:var(--ink);stroke-width:1.5;fill:var(--paper)}}
.dots{{stroke:var(--quiet);stroke-width:1.5;stroke-dasharray:1.5 4}}
.limit{{stroke:var(--bad);stroke-width:2.5}}
.others{{fill:var(--panel);stroke:var(--quiet);stroke-width:1.25}}
.floor-bar{{stroke:var(--quiet);stroke-width:1}}
.thin{{stroke:var(--ink);stroke-width:1;fill:none}}
.other{{fill:none;stroke:var(--quiet);stroke-width:1.5}}
.outline{{stroke:var(--mark);stroke-width:1}}
.hatch-back{{fill:var(--paper)}}
.hatch-line{{stroke:var(--quiet);stroke-width:3}}
.edge{{stroke:var(--paper);stroke-width:1.5}}
.on-part{{fill:{ON_PARTS};stroke:none}}
.series{{stroke-width:2;fill:none;background:none}}
.faint{{stroke:var(--quiet);stroke-width:1;stroke-opacity:.55;fill:none}}
.letter{{font-weight:650}}
.area{{padding:0 1.75rem 0 4rem}}
{_PARTS}{_LINES}
details{{margin:.75rem 0}}summary{{cursor:pointer;color:var(--quiet);font-size:.9rem}}
footer{{margin-top:3.5rem;border-top:1px solid var(--hair);color:var(--quiet);font-size:.85rem}}
footer p{{max-width:none}}
@media (max-width:56rem){{.wide{{display:none}}.narrow{{display:inline}}}}
@media (max-width:36rem){{main{{padding:1.5rem 1rem 3rem}}h1{{font-size:1.45rem}}.answer{{font-size:1.15rem}}
dl{{grid-template-columns:1fr;gap:0}}dd{{margin:0 0 .45rem}}}}
@media print{{main{{max-width:none;padding:0}}body{{font-size:10pt}}.scroll{{overflow:visible}}table{{font-size:8pt}}
th,td{{padding:.25rem .35rem}}h2{{break-after:avoid}}tr,dl,.note{{break-inside:avoid}}
thead{{display:table-header-group}}}}
"""
