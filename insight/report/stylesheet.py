"""How the HTML report looks: quiet, in the reader's own light or dark, on a phone and on paper."""

from __future__ import annotations

STYLE = """
:root{color-scheme:light dark;--ink:#1d2125;--soft:#5c6670;--rule:#dfe3e8;--paper:#fff;--tint:#f5f7f9;
--critical:#b42318;--warning:#9a6200;--info:#2b6a99;
--c0:#1f6fb2;--c1:#d1570e;--c2:#2a8a57;--c3:#a13f9a;--c4:#8a7100;--c5:#0f8b94;--c6:#c2355b;--c7:#6b5bd2}
@media(prefers-color-scheme:dark){:root{--ink:#e3e6e9;--soft:#9aa4ae;--rule:#333a41;--paper:#14171a;--tint:#1c2024;
--critical:#ff8378;--warning:#e5b04b;--info:#7fb8e0;
--c0:#69aee8;--c1:#f28f52;--c2:#62c48d;--c3:#d98ad3;--c4:#d1b84a;--c5:#56c3cb;--c6:#f0829f;--c7:#a79bf2}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem 1.25rem 4rem;max-width:72rem;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.35rem;font-weight:600;margin:.5rem 0}
h2{font-size:1.2rem;font-weight:600;margin:2.75rem 0 .75rem;padding-top:.75rem;border-top:1px solid var(--rule)}
h3{font-size:1rem;font-weight:600;margin:1.75rem 0 .5rem}
p,ul{margin:.5rem 0;max-width:46rem}
ul{padding-left:1.2rem}
li{margin:.2rem 0}
.strong{max-width:none;padding:.6rem .9rem;background:var(--tint);border-left:4px solid var(--soft);font-weight:600}
.critical{border-color:var(--critical)}
.warning{border-color:var(--warning)}
.info{border-color:var(--info)}
.wide{overflow-x:auto;margin:.75rem 0}
table{border-collapse:collapse;font-size:.875rem;font-variant-numeric:tabular-nums;overflow-wrap:normal}
th,td{padding:.3rem .8rem .3rem 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--rule)}
th{color:var(--soft);font-weight:500}
.n{text-align:right}
td.n{white-space:nowrap}
.prose td:first-child{font-weight:600}
.tiles thead{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}
.tiles tbody{display:grid;grid-template-columns:repeat(auto-fit,minmax(14rem,1fr));gap:.75rem}
.tiles,.tiles tr{display:block;text-align:left}
.tiles tr{padding:.7rem .9rem;background:var(--tint);border-radius:6px}
.tiles td{display:block;padding:0;border:0;text-align:left;white-space:normal;color:var(--soft)}
.tiles td:nth-child(2){font-size:1.7rem;line-height:1.3;color:var(--ink)}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,21rem),1fr));gap:1.25rem 2rem}
figure{margin:.25rem 0;min-width:0;break-inside:avoid}
figcaption{font-size:.875rem;color:var(--soft)}
figcaption b{color:var(--ink);font-weight:600;margin-right:.5rem}
figcaption span{white-space:nowrap;margin-right:.7rem}
.key::before{content:"";display:inline-block;width:.9em;height:3px;border-radius:2px;background:var(--own);
margin-right:.35em;vertical-align:.25em}
svg{display:block;width:100%;height:auto;color:var(--soft)}
svg text{fill:var(--soft);stroke:none}
svg path{stroke-linejoin:round;stroke-linecap:round}
.grid{stroke:var(--rule);stroke-opacity:1}
.limit{stroke:var(--critical)}
.moment{stroke:var(--soft)}
.c0{--own:var(--c0)}.c1{--own:var(--c1)}.c2{--own:var(--c2)}.c3{--own:var(--c3)}
.c4{--own:var(--c4)}.c5{--own:var(--c5)}.c6{--own:var(--c6)}.c7{--own:var(--c7)}
.line{stroke:var(--own)}
@media(max-width:44rem){.prose thead{display:none}.prose,.prose tbody,.prose tr,.prose td{display:block}
.prose tr{padding:.6rem 0;border-bottom:1px solid var(--rule)}.prose td{border:0;padding:.1rem 0}
.prose td[data-label]::before{content:attr(data-label)": ";color:var(--soft)}}
@media print{:root{--ink:#000;--soft:#444;--rule:#bbb;--paper:#fff;--tint:#fff;--critical:#a00;--warning:#850;
--info:#036;--c0:#1f6fb2;--c1:#d1570e;--c2:#2a8a57;--c3:#a13f9a;--c4:#8a7100;--c5:#0f8b94;--c6:#c2355b;--c7:#6b5bd2}
body{padding:0;max-width:none;font-size:10pt}h2,h3{break-after:avoid}tr{break-inside:avoid}
.wide{overflow:visible}td.n{white-space:normal}.strong{border-style:solid;border-width:1px 1px 1px 4px}
.tiles tbody{grid-template-columns:repeat(4,1fr)}
.charts{grid-template-columns:1fr 1fr}}
""".strip()
