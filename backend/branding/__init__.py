"""What messages look like and come from: the brands of organisations and services, checked, kept and looked up."""
