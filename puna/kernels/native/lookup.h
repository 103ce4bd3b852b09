// Guesses what a sequence says next by looking up what followed the same words before.
//
// "Prompt lookup" (Saxena, 2023): answers that quote their prompt, as edits and summaries do, are guessed right
// for long stretches. A guess costs nothing when it is wrong but the rows that checked it.
#pragma once
#include <array>
#include <cstdint>

namespace puna {

constexpr int64_t kMostDraft = 12;   // tokens guessed at once
constexpr int64_t kLongestMatch = 8; // tokens before the guess that are compared
constexpr int kHabits = 4;           // classes of matches: of 1, 2, 3 or 4, and more tokens

// How often guesses came true, by how many tokens before them matched.
using Habits = std::array<float, kHabits>;

struct Guess {
    int64_t matched = 0;                       // tokens that stand before it both times; 0: no guess
    int64_t count = 0;                         // no more than were asked for
    std::array<int32_t, kMostDraft> tokens{};
};

// The guess after the longest match, the latest of equals; `most` tokens at most, and kMostDraft.
Guess guess_next(const int32_t* tokens, int64_t count, int64_t most);

// How often a guess after such a match has come true of late.
float& habit(Habits& habits, int64_t matched);

// Moves the habit by one guess that came true or did not.
void learn(Habits& habits, int64_t matched, bool true_guess);

}  // namespace puna
