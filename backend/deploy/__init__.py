"""What brings Carillon to a machine: how its wheel is built."""
