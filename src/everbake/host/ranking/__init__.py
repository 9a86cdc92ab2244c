"""Jobs of ranking recipes: events in, lists of items for users out.

What is judged is a user of the held-out period, by the items of its events there; everything else
(which events are held out, saving, limits) is as for any other recipe.
"""
