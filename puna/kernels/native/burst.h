// Several decode steps in one call: forward, pick, feed what was picked, again.
//
// Each sequence of a step has the row of its last token and, where that pays, rows that check a guess at the
// tokens after it. A row's logits and its draw do not depend on its neighbours, so whatever is guessed and
// however many steps there are, the tokens are those of one plain step after another.
#pragma once
#include <cstdint>
#include <vector>

#include "lookup.h"
#include "sample.h"
#include "tape.h"

namespace puna {

enum class Ending : int { None = 0, Stop = 1, NotFinite = 2 };

// One decoding sequence: all its tokens, the last of them not computed yet, and what came of it.
struct Runner {
    std::vector<int32_t> tokens, blocks, endings;  // endings: tokens that end it and are no part of it
    Draw draw;                                     // of its next token
    int64_t room;                                  // tokens that it may still say, and its blocks can hold
    Habits habits;

    int64_t said = 0, drafted = 0, accepted = 0;
    Ending ending = Ending::None;
    int32_t stop_token = -1;

    bool live() const { return ending == Ending::None && said < room; }
};

struct Limits {
    double seconds;       // no step begins that would probably end later
    int64_t steps;
    int64_t rows;         // of one step
    int64_t lookup_sequences;  // guesses are made while at most so many sequences run
    bool until_first_end; // somebody waits for the room of whoever ends
    bool thrifty;         // guesses are made only where they have been paying
};

// What steps have cost of late.
class StepCost {
public:
    void note(double seconds, int64_t running, int64_t drafted);
    // How many guessed tokens pay, each of which comes true with this chance if the one before did.
    int64_t worthwhile(float chance, int64_t running) const;

private:
    static constexpr double kFirstPrice = 0.35;

    double plain_ = 0.0;            // seconds of a step without guesses
    double price_ = kFirstPrice;    // of each guessed token, in plain steps of one sequence
    int64_t sequences_ = 0;
};

class Burst {
public:
    explicit Burst(Tape& tape) : tape_(tape) {}

    // Returns how many steps were taken.
    int64_t run(const std::vector<Runner*>& runners, const Limits& limits);

private:
    void lay_out(const std::vector<Runner*>& runners, const Limits& limits);
    void guess(Runner& runner, const Limits& limits);
    void add_rows(Runner& runner);
    void add_tables();
    void hear(Runner& runner, int64_t first_row, const Guess& guess);
    Batch batch() const;

    Tape& tape_;
    StepCost cost_;
    std::vector<Runner*> live_;
    std::vector<Guess> guesses_;  // by live runner; count: how many are checked
    std::vector<int32_t> tokens_, positions_, starts_, lengths_, tables_, outputs_, picked_;
    std::vector<Draw> draws_;
    int64_t table_width_ = 0, drafted_ = 0;
};

}  // namespace puna
