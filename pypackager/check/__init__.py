"""The strict judge: walks a published presentation as the strictest player would, and says every breach with the clause it breaks.

In: the URL of a manifest, and an `Origin` to ask. Out: a `Report` of findings and a summary of every track. Never: code, tables or
opinions of the packager; nothing here imports anything else of `pypackager`, so that one mistake cannot hide itself.

```
 origin ─▶ session ─▶ walker of the format (hls, dash, smooth, hds) ─▶ presentation ─▶ judges ─▶ report
 answers    notes      parser and its rules,       readers of media      tracks, segments,   rules that are the    table,
            each one   rules over reloads          (media/)              samples as arrays   same for all formats  JSON, JUnit
```
A rule is declared beside the code that checks it (`rules.rule`), and the reference page is made of all of them. docs/design/check.md
says how to write one, how to add a format, and how to prove a rule with a mutation.
"""
