"""What messages are made of besides their template: files, links, members of a batch, memory."""
