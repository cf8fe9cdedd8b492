# The growth of time with what there is to do, for docs/benchmarks.md. Variables: results, a directory, and out, the chart.
set terminal svg size 900,330 dynamic font 'sans,11' background '#ffffff'
set output out
set multiplot layout 1,3
set logscale xy
set key top left reverse Left
set grid
set format y '%g'
set ylabel 'seconds'
set style data linespoints
set xlabel 'images'
plot results.'/images' using 1:2 title 'batch' pointtype 7
set xlabel 'entries of a tree'
plot results.'/trees' using 1:2 title 'create' pointtype 7, '' using 1:3 title 'check' pointtype 5, '' using 1:4 title 'apply' pointtype 9
set xlabel 'MiB of data'
plot results.'/sizes' using 1:2 title 'create' pointtype 7, '' using 1:3 title 'cp' pointtype 5
