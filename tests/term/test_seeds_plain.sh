# /seeds, /compare and /answer in plain lines: answers with a seed each, saved, compared, taken again
# after a restart, and drawn once more from their seeds.
set -u
. "$OXBOW_TEST_DIR/term/lib.sh"
printf 'answer The lamp %%seed was out at nine.\n' > "$tmp/script"
export OXBOW_MODEL="$tmp/script"

printf '/seeds\n/compare\nWhat was out?\n/seeds 1\n/seeds 3\n' > "$tmp/in"
run "$fake" chat --plain --seed 7 < "$tmp/in"
is_rc 0 "seeds"
err_has '-- there is no answer yet' "seeds before a question"
err_has '/seeds makes 2 to 9 answers' "one seed"
err_has '-- 3 answers, ' "price"
err_has '-- answer 3 of 3' "which one"
for seed in 7 8 9 10; do out_has "The lamp $seed was out at nine." "seed $seed"; done
err_has '[-only here-]  answer 2 of 4, seed 8' "left of the comparison"
err_has '{+only here+}  answer 3 of 4, seed 9' "right of the comparison"
out_has 'The lamp [-8-]{+9+} was out at nine.' "comparison"

printf '/compare 1 4\n/compare 2\n/compare 5\n/answer 2\n/compare\n/answer 9\nAnd then?\n' > "$tmp/in"
run "$fake" chat --plain -c --seed 7 < "$tmp/in"
is_rc 0 "after a restart"
out_has 'The lamp [-7-]{+10+} was out at nine.' "first and last"
out_has 'The lamp [-10-]{+8+} was out at nine.' "the one that is shown and the second"
err_has 'the last question has 4 answers' "no fifth"
err_has '-- goes on with answer 2 of 4' "taken"
out_has 'The lamp [-8-]{+9+} was out at nine.' "from the one that was taken"

run "$fake" sessions
id=$(cut -c1-4 "$tmp/out" | head -1)
run "$fake" show "$id"
out_has 'The lamp 8 was' "the branch goes on behind the one that was taken"
for branch in 1 2 3 4; do
    run "$fake" show "$id" --branch $branch --replay
    is_rc 0 "replay of branch $branch"
    out_has 'tokens equal' "replay of branch $branch"
done
done_testing
