"""The pages of a service's templates: the list, the editor, publishing, versions and their differences."""
