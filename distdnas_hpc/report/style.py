"""The page's style sheet: a quiet scientific page, in light and dark, from a phone to a wide screen and on paper."""

import re

_PAGE = """
:root {
  color-scheme: light dark;
  --paper: #fdfcfa; --ink: #1d1f23; --muted: #62666e; --rule: #e2dfd9; --panel: #f5f3ef;
  --dense: #2c6396; --sparse: #b0592a; --c1: #878385; --c2: #1f6fc0; --c3: #c8501e; --c4: #05965e; --c5: #975893;
  --serif: Charter, "Bitstream Charter", "Sitka Text", Cambria, Georgia, "DejaVu Serif", serif;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif;
  --mono: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #16181c; --ink: #e4e3df; --muted: #9a9da4; --rule: #30343a; --panel: #1e2126;
    --dense: #7fb2e5; --sparse: #e5a071; --c1: #98acab; --c2: #6e9bf0; --c3: #f08a5d; --c4: #69d298; --c5: #d69dd7;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1.0625rem/1.55 var(--serif); }
header, main, footer { max-width: 78rem; margin: 0 auto; padding: 0 1rem; }
header { padding-top: 2.5rem; }
h1 { font-size: 2rem; line-height: 1.15; font-weight: 600; margin: 0 0 .75rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; line-height: 1.3; font-weight: 600; margin: 0 0 .75rem; }
h3 { font: 600 .875rem/1.4 var(--sans); margin: 1.75rem 0 .5rem; }
p { margin: 0 0 1rem; max-width: 42rem; }
a { color: inherit; }
.eyebrow { font: 500 .8125rem/1.4 var(--sans); color: var(--muted); margin: 0 0 .25rem; }
.lead { font-size: 1.3125rem; line-height: 1.45; max-width: 48rem; margin-bottom: 1.5rem; }
.note, figcaption, footer { color: var(--muted); font-size: .9375rem; line-height: 1.5; }
.absent { border-left: 3px solid var(--sparse); padding: .1rem 0 .1rem .75rem; }
dl.facts { display: flex; flex-wrap: wrap; gap: .5rem 2rem; margin: 0 0 1.5rem; font: .875rem/1.4 var(--sans); }
dl.facts dt { color: var(--muted); }
dl.facts dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
section { border-top: 1px solid var(--rule); padding: 1.75rem 0 1.25rem; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 1.5rem 2.5rem; }
.small { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 10.5rem), 1fr)); gap: 1rem 1.25rem; }
.grid > *, .small > * { min-width: 0; }
figure { margin: 0 0 1rem; break-inside: avoid; }
figcaption { margin-top: .5rem; max-width: 42rem; }
table { border-collapse: collapse; font: .875rem/1.4 var(--sans); font-variant-numeric: tabular-nums; width: 100%; }
th, td { padding: .4rem 0 .4rem 1rem; text-align: right; vertical-align: baseline; }
th:first-child, td:first-child { padding-left: 0; text-align: left; }
thead th { font-weight: 500; color: var(--muted); border-bottom: 1px solid var(--ink); vertical-align: bottom; }
tbody th { font-weight: 600; }
tbody tr + tr > * { border-top: 1px solid var(--rule); }
table.narrow { width: auto; min-width: min(100%, 28rem); }
table + p, table + figure, table + details, table + .grid, details + p { margin-top: 1rem; }
ul.tables { display: grid; grid-template-columns: repeat(auto-fill, minmax(7.5rem, 1fr)); gap: .1rem 1.5rem;
  list-style: none; margin: 0 0 1rem; padding: 0; font: .8125rem/1.6 var(--sans); }
ul.tables li { display: flex; justify-content: space-between; border-bottom: 1px solid var(--rule);
  font-variant-numeric: tabular-nums; }
ul.tables span { color: var(--muted); }
details { margin: 0 0 1rem; }
summary { cursor: pointer; font: 500 .875rem/1.6 var(--sans); }
pre { background: var(--panel); padding: .75rem 1rem; overflow-x: auto; font: .8125rem/1.5 var(--mono); margin: .5rem 0;
  border-radius: 4px; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; list-style: none; margin: 0 0 .6rem; padding: 0;
  font: .8125rem/1.5 var(--sans); }
.legend i { display: inline-block; width: 1.1rem; height: 0; border-top: 3px solid; vertical-align: .25em;
  margin-right: .35rem; }
.legend .c1, .legend .model5 { border-color: var(--c1); } .legend .c2, .legend .model2 { border-color: var(--c2); }
.legend .c3, .legend .model1 { border-color: var(--c3); } .legend .c4, .legend .model3 { border-color: var(--c4); }
.legend .c5, .legend .model4 { border-color: var(--c5); }
.legend .others { border-color: var(--muted); } .legend .model2 { border-top-style: dashed; }
footer { border-top: 1px solid var(--rule); padding-top: 1rem; padding-bottom: 3rem; }
:focus-visible { outline: 2px solid var(--dense); outline-offset: 2px; }

svg { display: block; width: 100%; max-width: 30rem; height: auto; font-family: var(--sans); overflow: visible; }
"""

FIGURES = """svg text { fill: currentColor; font-size: 11.5px; }
svg .tick { fill: var(--muted); font-size: 11px; font-variant-numeric: tabular-nums; }
svg .heading { font-weight: 600; }
svg .value { font-variant-numeric: tabular-nums; }
svg .dropped { fill: var(--muted); }
svg text.kept { font-weight: 600; }
svg .rule { stroke: var(--rule); }
svg .dashed { stroke-dasharray: 2 3; stroke: var(--muted); opacity: .5; }
svg .axis { stroke: var(--muted); }
svg .line { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
svg .line.line:hover { stroke-width: 3.5; }
svg .m1, svg .m2, svg .m3, svg .m4, svg .m5 { stroke-width: 1.2; stroke-opacity: .75; }
svg .m1 { stroke: var(--c1); } svg .m2 { stroke: var(--c2); } svg .m3 { stroke: var(--c3); }
svg .m4 { stroke: var(--c4); } svg .m5 { stroke: var(--c5); }
svg .day { stroke: var(--dense); opacity: .75; }
svg .threshold { stroke: currentColor; stroke-dasharray: 5 4; opacity: .6; }
svg .model1 { stroke: var(--c3); } svg .model2 { stroke: var(--c2); stroke-dasharray: 6 2.5; }
svg .model3 { stroke: var(--c4); } svg .model4 { stroke: var(--c5); } svg .model5 { stroke: var(--c1); }
svg .others { stroke: var(--muted); opacity: .5; stroke-width: 1; }
svg .point { stroke-width: 2.5; fill: var(--paper); }
svg .point.found { stroke: var(--c3); fill: var(--c3); } svg .point.baseline { stroke: var(--c2); }
svg .point.paper { stroke: var(--muted); stroke-width: 1.5; }
svg .frontier { stroke: var(--c3); opacity: .45; stroke-width: 1.3; } svg .leader { stroke: var(--muted); opacity: .6; }
svg .lollipop { stroke: var(--rule); stroke-width: 2; }
svg .interval { stroke: var(--muted); stroke-width: 1.3; }
svg .cell.dense, svg .bar.dense { fill: var(--dense); } svg .cell.sparse, svg .bar.sparse { fill: var(--sparse); }
svg rect.kept { fill: none; stroke-width: 2; }
svg rect.kept.dense { stroke: var(--dense); } svg rect.kept.sparse { stroke: var(--sparse); }
svg .bar.later { opacity: .45; }
svg .task { fill: var(--dense); }
svg .block { fill: var(--panel); stroke: var(--rule); }
svg .block.end { fill: none; stroke: var(--muted); }
svg .chip { fill-opacity: .16; } svg .chip.dense { fill: var(--dense); } svg .chip.sparse { fill: var(--sparse); }
svg .way { fill: none; stroke-width: 1.4; } svg .way.dense { stroke: var(--dense); }
svg .way.sparse { stroke: var(--sparse); } svg .way.merger { stroke: var(--muted); }
svg .arrow.dense { fill: var(--dense); } svg .arrow.sparse { fill: var(--sparse); }
svg .arrow.merger { fill: var(--muted); }
"""
"""Rules for the parts of a drawing."""

_SIZES = """#timeline { max-width: none; }
#architecture { max-width: 28rem; }

@media (min-width: 70rem) {
  section { display: grid; grid-template-columns: 13rem minmax(0, 1fr); column-gap: 3rem; }
  section > h2 { padding-top: .1rem; }
}
@media (min-width: 48rem) {
  .small { grid-template-columns: repeat(auto-fill, minmax(14.5rem, 1fr)); }
  .stack tbody > tr > :not(:only-child, :nth-child(2):last-child) { white-space: nowrap; }
}
@media (max-width: 44rem) {
  h1 { font-size: 1.625rem; }
  .lead { font-size: 1.1875rem; }
  header { padding-top: 1.5rem; }
  table.stack, .stack tbody, .stack tr, .stack th, .stack td { display: block; text-align: left; padding-left: 0; }
  .stack thead { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; }
  .stack td { display: flex; justify-content: space-between; gap: 1rem; padding: .15rem 0; }
  .stack td::before { content: attr(data-label); color: var(--muted); }
  .stack tbody tr + tr > * { border-top: 0; }
  .stack tbody tr { border-top: 1px solid var(--rule); padding: .4rem 0; }
  th, td { padding-left: .6rem; }
}
@media print {
  :root { --paper: #fff; --ink: #000; --muted: #444; --rule: #ccc; --panel: #f6f6f6; --dense: #2c6396;
    --sparse: #b0592a; --c1: #878385; --c2: #1f6fc0; --c3: #c8501e; --c4: #05965e; --c5: #975893;
    color-scheme: light; }
  body { font-size: 10pt; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  h2, h3 { break-after: avoid; }
  tr, .legend { break-inside: avoid; }
  pre { white-space: pre-wrap; }
}
"""

STYLE = _PAGE + FIGURES + _SIZES
"""All of it, for a page."""

LIGHT = dict(re.findall(r"--(\w+): ([^;]+);", _PAGE.partition("@media")[0]))
"""The colours and fonts of the light page, by name."""
