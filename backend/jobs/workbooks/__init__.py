"""Reading workbooks (.xlsx, .ods): the rows of their first sheet as text, in a child process."""
