"""Publishing templates together with the partials and layouts that they name."""
