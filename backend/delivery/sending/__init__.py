"""Making and sending what is claimed: worker pools by channel, composing, the choice of a provider, dispatch."""
