"""How the HTML of a decision looks, light and dark, wide and narrow, on a screen and on paper."""

_LIGHT = "--paper:#fff;--ink:#1a1c1f;--line:#c9ced3;--pass:#04704f;--warn:#7a5600;--fail:#b3241c"
_DARK = "--paper:#14171b;--ink:#eceff1;--line:#4a5058;--pass:#3ccb98;--warn:#f5bd00;--fail:#ff8a80"

# The system's setting holds, unless the page around it (a notebook) says whether it is dark.
_COLOURS = f"""
.everbake-decision{{{_LIGHT}}}
@media (prefers-color-scheme:dark){{.everbake-decision{{{_DARK}}}}}
:is([data-jp-theme-light="true"],.vscode-light) .everbake-decision{{{_LIGHT}}}
:is([data-jp-theme-light="false"],.vscode-dark) .everbake-decision{{{_DARK}}}
@media print{{.everbake-decision{{{_LIGHT}}}}}
"""

_RULES = """
.everbake-decision{background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif;
  max-width:60rem;padding:1rem;box-sizing:border-box;overflow-wrap:anywhere;
  container-type:inline-size}
.everbake-decision h3{font-size:1.3rem;margin:0 0 .6rem}
.everbake-decision h4{font-size:1.05rem;margin:1.2rem 0 .4rem}
.everbake-decision p{margin:0 0 .6rem}
.everbake-decision figure{margin:1rem 0 .6rem}
.everbake-decision figcaption{font-size:.9rem}
.everbake-decision .pass{color:var(--pass);fill:var(--pass)}
.everbake-decision .warn{color:var(--warn);fill:var(--warn)}
.everbake-decision .fail{color:var(--fail);fill:var(--fail)}
.everbake-decision .loss{fill:var(--fail);fill-opacity:.13}
.everbake-decision .hollow{fill:none}
.everbake-decision details{border:1px solid var(--line);border-radius:6px;padding:.4rem .8rem;
  overflow-x:auto}
.everbake-decision summary{cursor:pointer}
.everbake-decision table{border-collapse:collapse;margin:.6rem 0;font-size:.9rem;
  overflow-wrap:normal}
.everbake-decision :is(th,td):not(:first-child,:last-child){white-space:nowrap}
.everbake-decision td:last-child{min-width:14rem}
.everbake-decision :is(th,td){text-align:left;vertical-align:top;background:none;
  padding:.2rem .8rem .2rem 0;border-top:1px solid var(--line)}
.everbake-decision ul{margin:0;padding:0;list-style:none}
.everbake-decision dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem;margin:0}
.everbake-decision dt{font-weight:600}
.everbake-decision dd{margin:0}
"""

# Names stand above their bars, clear of the marks that cross them.
_NARROW = """
.everbake-decision .narrow .name{stroke:var(--paper);stroke-width:4px;paint-order:stroke}
@container (max-width:36rem){
.everbake-decision .wide{display:none}
.everbake-decision .narrow{display:inline}
.everbake-decision dl{grid-template-columns:1fr}
}
"""

STYLE = f"{_COLOURS}{_RULES}{_NARROW}"
