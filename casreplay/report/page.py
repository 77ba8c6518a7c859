"""Style and script of the HTML page. No fonts, images or requests from anywhere."""

from __future__ import annotations

# ruff: noqa: E501 - a style sheet reads best with a rule a line

__all__ = ["POLICY", "SCRIPT", "STYLE"]

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"

STYLE = """
:root{color-scheme:light dark;--bg:#fff;--fg:#1c1f23;--dim:#5b636d;--line:#d5d9de;--soft:#f4f5f7;--accent:#0b5cad;
--add:#e2f4e4;--del:#fbe5e5;--chg:#fdf3d7;--bad:#a3160c}
@media(prefers-color-scheme:dark){:root{--bg:#15181c;--fg:#e4e7ea;--dim:#9aa3ad;--line:#373d45;--soft:#1e2228;
--accent:#7cb8ff;--add:#12351c;--del:#431c1c;--chg:#40350f;--bad:#ff9d92}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--fg);font:16px/1.5 system-ui,sans-serif}
main{max-width:60rem;margin:0 auto;padding:1rem}
h1{font-size:1.5rem;line-height:1.25;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin-top:2.2rem;border-bottom:1px solid var(--line);padding-bottom:.2rem}
h3{font-size:1rem;overflow-wrap:anywhere}
a{color:var(--accent)}
a:focus-visible,button:focus-visible,input:focus-visible,summary:focus-visible,[tabindex]:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
.skip{position:absolute;left:-999rem}.skip:focus{left:1rem;top:.5rem;background:var(--bg);padding:.3rem}
dl.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(13rem,1fr));gap:.6rem;margin:1rem 0}
dl.facts div{background:var(--soft);border-radius:6px;padding:.4rem .7rem;min-width:0}
dt{color:var(--dim);font-size:.8rem}dd{margin:0;overflow-wrap:anywhere}
nav ol{columns:2;padding-left:1.2rem;font-size:.95rem}
@media(max-width:34rem){nav ol{columns:1}main{padding:.7rem}}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.92rem}
th,td{text-align:left;vertical-align:top;padding:.3rem .5rem;border-bottom:1px solid var(--line);overflow-wrap:break-word;max-width:24rem}
th{color:var(--dim);font-weight:600}
code,.cite,pre,table.diff td{font-family:ui-monospace,monospace;font-size:.85em}
.cite{display:inline-block;color:var(--accent);overflow-wrap:anywhere}span.cite{cursor:help;text-decoration:none}
.remark{color:var(--dim)}
li{margin:.35rem 0;overflow-wrap:anywhere}
fieldset{border:1px solid var(--line);border-radius:6px;margin:.5rem 0;display:flex;flex-wrap:wrap;gap:.3rem 1rem;align-items:center}
fieldset label{white-space:nowrap}
input[type=search]{font:inherit;padding:.25rem .5rem;border:1px solid var(--line);border-radius:4px;background:var(--bg);color:var(--fg);max-width:100%}
ol.time{list-style:none;padding:0;margin:0}
ol.time li{display:grid;grid-template-columns:11.5rem 6rem 1fr;gap:.2rem .7rem;border-bottom:1px solid var(--line);padding:.3rem 0;margin:0}
ol.time li[hidden]{display:none}
:target{outline:2px solid var(--accent);outline-offset:2px}
@media(max-width:40rem){ol.time li{grid-template-columns:1fr auto}ol.time .what{grid-column:1/-1}}
.when,.kind{color:var(--dim);font-size:.85rem}
.what{min-width:0;overflow-wrap:anywhere}
.kind-finding .what,.level-error .what,.level-fatal .what{color:var(--bad)}
.kind-snapshot{background:var(--soft)}
table.diff{table-layout:fixed}
table.diff td{white-space:pre-wrap;overflow-wrap:anywhere;max-width:none;border:0;padding:0 .4rem}
table.diff col.no{width:3rem}
table.diff td.no{color:var(--dim);text-align:right;user-select:none}
tr.removed td.old,tr.changed td.old{background:var(--del)}
tr.added td.new,tr.changed td.new{background:var(--add)}
tr.gap td{color:var(--dim);border-top:1px dashed var(--line)}
@media(max-width:40rem){table.diff .no{display:none}}
svg{width:100%;height:auto;max-width:30rem;display:block}
svg text{fill:var(--fg);font:14px system-ui,sans-serif}svg .strong{font-weight:600}svg .small{font-size:12px}
svg .dim{font-size:11px;fill:var(--dim)}svg .box{fill:var(--soft);stroke:var(--line)}svg .link{stroke:var(--dim);stroke-width:2}
svg .bar{fill:var(--accent)}
footer{color:var(--dim);font-size:.85rem;margin:3rem 0 1rem}
@media print{fieldset,nav,.skip{display:none}}
""".strip()

SCRIPT = """
(function(){
var box=document.querySelector('[data-filter]');if(!box)return;
var rows=document.querySelectorAll('ol.time li'),said=document.getElementById('shown');
function show(){
var on={},n=0,word=box.querySelector('input[type=search]').value.toLowerCase();
box.querySelectorAll('input[type=checkbox]').forEach(function(c){on[c.value]=c.checked});
rows.forEach(function(r){var keep=on[r.dataset.kind]&&(!word||r.textContent.toLowerCase().indexOf(word)>=0);
r.hidden=!keep;if(keep)n++});
said.textContent=n+' of '+rows.length+' events';}
box.addEventListener('input',show);box.hidden=false;show();
window.addEventListener('hashchange',function(){var t=document.getElementById(location.hash.slice(1));
if(t&&t.hidden){t.hidden=false;t.scrollIntoView()}});
})();
""".strip()
