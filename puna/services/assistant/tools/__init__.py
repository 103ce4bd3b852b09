"""What the model may do beside talking: tools of Puna's own, and those of servers the owner added.

In: a call's name and arguments, which the model chose.  Out: text for the model, one audit line.
Does not know the prompt; a tool never gets more rights than the person who asks.
"""
