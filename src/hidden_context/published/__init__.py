"""What the paper's authors published: names of runs, files and how to fetch them."""
