"""The style of `report.html`: light and dark, wide and narrow, screen and paper. Floor 4."""

from __future__ import annotations

from typing import Final

CSS: Final = """
:root{color-scheme:light dark;--page:#f6f7f9;--card:#fff;--ink:#161a20;--soft:#5b6573;--rule:#dfe3e9;
--line:#2563c9;--fill:#2563c91f;--gain:#0f7b4d;--loss:#c0342b;--lossfill:#c0342b26;--ok:#2a9d6a;--quiet:#7c93ad;
--partial:#d08a1d;--refilled:#8a63d2;--gap:#c0342b;--note:#fff6df;--noterule:#e3c36b}
@media(prefers-color-scheme:dark){:root{--page:#0f1216;--card:#171b21;--ink:#e7eaef;--soft:#9aa5b3;--rule:#2b323c;
--line:#6ea8ff;--fill:#6ea8ff26;--gain:#4cc38a;--loss:#ff7b70;--lossfill:#ff7b7030;--ok:#3fb27f;--quiet:#7288a3;
--partial:#e0a245;--refilled:#a688ea;--gap:#ff7b70;--note:#2b2513;--noterule:#6b5a23}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
"Noto Sans",sans-serif;font-variant-numeric:tabular-nums}
main{max-width:1120px;margin:0 auto;padding:28px 24px 40px}
h1{font-size:28px;line-height:1.2;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:16px;margin:0 0 12px}
p{margin:0}
.lead{color:var(--soft)}
.card{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:18px 20px;
margin-top:16px;min-width:0}
.columns{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:16px}
.figures{display:grid;grid-template-columns:repeat(6,minmax(0,1fr));gap:18px 14px;margin:0}
.figures dt{color:var(--soft);font-size:13px}
.figures dd{margin:0;font-size:20px;font-weight:600;line-height:1.3;overflow-wrap:anywhere}
.figures small{display:block;color:var(--soft);font-size:12px;font-weight:400;line-height:1.35}
.gain{color:var(--gain)}.loss{color:var(--loss)}
.note{background:var(--note);border-color:var(--noterule)}
.note ul{margin:0;padding-left:18px}
.facts{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:4px 18px;margin:0}
.facts dt{color:var(--soft)}
.facts dd{margin:0;overflow-wrap:anywhere}
code{font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
.gapped{margin-bottom:10px}
.tags:not(:empty){margin-top:8px}
.tag{display:inline-block;border:1px solid var(--rule);border-radius:6px;padding:0 7px;margin:0 6px 4px 0}
.chart{padding-left:76px}
.chart+h3{margin-top:22px}
h3{font-size:13px;font-weight:500;color:var(--soft);margin:0 0 8px}
.plot{position:relative;height:280px}
.fall .plot{height:110px}
.plot svg{position:absolute;inset:0;width:100%;height:100%;overflow:visible}
.plot path{vector-effect:non-scaling-stroke;fill:none;stroke-width:1}
.plot .grid{stroke:var(--rule)}
.plot .base{stroke:var(--soft);stroke-dasharray:3 4}
.plot .line{stroke:var(--line);stroke-width:1.6;stroke-linejoin:round}
.plot .area{fill:var(--fill)}
.fall .line{stroke:var(--loss);stroke-width:1.2}.fall .area{fill:var(--lossfill)}
.y{position:absolute;right:100%;padding-right:10px;transform:translateY(-50%);font-size:12px;color:var(--soft);
white-space:nowrap}
.dates{position:relative;height:20px;margin-top:6px;font-size:12px;color:var(--soft)}
.x{position:absolute;transform:translateX(-50%);white-space:nowrap}
.x0{transform:none}.x4{transform:translateX(-100%)}
.meters{list-style:none;margin:0;padding:0;display:grid;gap:10px}
.meters li{display:grid;grid-template-columns:minmax(0,1fr) auto 62px;gap:0 12px;align-items:baseline}
.meters span{overflow-wrap:anywhere}
.meters i{font-style:normal;color:var(--soft);text-align:right;font-size:13px}
.track{grid-column:1/-1;height:6px;border-radius:3px;background:var(--rule);overflow:hidden;margin-top:2px}
.track span{display:block;height:100%;min-width:2px;background:var(--line)}
.q-ok .track span{background:var(--ok)}.q-quiet .track span{background:var(--quiet)}
.q-partial .track span{background:var(--partial)}.q-refilled .track span{background:var(--refilled)}
.q-gap .track span,.q-bad .track span{background:var(--gap)}
.none{color:var(--soft)}
.scroll{overflow-x:auto;margin:0 -20px;padding:0 20px}
table{border-collapse:collapse;width:100%;font-size:13px}
th{color:var(--soft);font-weight:500;text-align:left}
th,td{padding:5px 14px 5px 0;border-bottom:1px solid var(--rule);white-space:nowrap}
th:last-child,td:last-child{padding-right:0}
.number{text-align:right}
.skipped td{color:var(--soft);text-align:center;white-space:normal}
footer{color:var(--soft);font-size:13px;margin-top:20px}
@media(max-width:900px){.figures{grid-template-columns:repeat(3,minmax(0,1fr))}}
@media(max-width:640px){main{padding:18px 12px 28px}h1{font-size:23px}.card{padding:14px;border-radius:8px}
.columns{grid-template-columns:minmax(0,1fr);gap:0}.figures{grid-template-columns:repeat(2,minmax(0,1fr))}
.figures dd{font-size:18px}.chart{padding-left:58px}.plot{height:210px}.y{font-size:11px;padding-right:6px}
.x1,.x3{display:none}
.scroll{margin:0 -14px;padding:0 14px}}
@media print{:root{--page:#fff;--card:#fff;--ink:#000;--soft:#444;--rule:#ccc;--line:#2563c9;--fill:#2563c91f;
--gain:#0f7b4d;--loss:#c0342b;--lossfill:#c0342b26;--note:#fff;color-scheme:light}
body{font-size:10pt;print-color-adjust:exact;-webkit-print-color-adjust:exact}main{max-width:none;padding:0}
.card{break-inside:avoid;padding:10px 12px}.long{break-inside:auto}thead{display:table-header-group}
tr{break-inside:avoid}.figures{grid-template-columns:repeat(4,minmax(0,1fr))}table{font-size:8pt}
th,td{padding:2px 8px 2px 0}.scroll{overflow:visible}}
"""
