"""The judge of MPEG-DASH: MPDs in, findings and the neutral walk result out. What is true of media in every format is judged elsewhere.

```
 bytes ─▶ tree (XML, schema) ─▶ mpd (inheritance, URLs, timelines) ─▶ one_copy, guidelines, availability, refreshes ─▶ findings
                                                                   └▶ walk ─▶ tracks, listings, looks ─▶ claims ─▶ findings
```
"""
