"""`wasmguard stats`: `counting` makes one document of the records, `shadows` another of what shadows would have said;
`table` tells them on a terminal and `page` as HTML, from them and from nothing else."""
