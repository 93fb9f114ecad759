#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/fakes/world/world.h"

namespace certflow::crash {

// A whole run that is interrupted somewhere, with what has to be true of it at every moment and at
// its end. One object for one interrupted run: the outside is fresh.
class Scene {
 public:
  virtual ~Scene() = default;
  fakes::World& world() { return world_; }
  // From the workflow's creation to the run's end; starts the program. Stops where the process
  // dies.
  virtual void Play() = 0;
  // True when the run and all that belongs to it has come to its good end; acts as people would.
  virtual bool Finished() = 0;
  // What is wrong now; asked at the moment of death and at the end.
  virtual std::vector<std::string> WrongNow() = 0;
  virtual std::vector<std::string> WrongAtTheEnd() = 0;

 protected:
  fakes::World world_;
};

// An internal CA and the workflow's Secret, which holds an older certificate of ours or nothing.
std::unique_ptr<Scene> MakeSecretScene();
// A run whose certificate an earlier run got, and could not bring to a host with nginx.
std::unique_ptr<Scene> MakeAtHandScene();
// ACME, the Secret, a host with nginx that is proved from outside, an approval, mail.
std::unique_ptr<Scene> MakeFullScene();
// A renewal over two waves, each proved at its own endpoints: a BIG-IP, then two at the same time,
// then a cache is purged.
std::unique_ptr<Scene> MakeWavesScene();
// The same where the second wave is never proved, so that everything goes back.
std::unique_ptr<Scene> MakeTakenBackScene();

}  // namespace certflow::crash
