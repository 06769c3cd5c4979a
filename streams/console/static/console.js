// Makes pages that work without it quicker to read: times in the reader's zone, and parts that
// follow the ledger. Nothing is asked of any other host.
"use strict";

const REFETCH_PAUSE_MS = 1500;
const parts = () => document.querySelectorAll("[data-live-part][id]");

function localise(root) {
  const zone = new Intl.DateTimeFormat().resolvedOptions().timeZone;
  const offset = new Date().getTimezoneOffset();
  for (const element of root.querySelectorAll("time[datetime]:not([data-local])")) {
    const at = new Date(element.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    element.dataset.local = "";
    if (at.getTimezoneOffset() === 0) continue;
    const pad = (number) => String(number).padStart(2, "0");
    const utc = element.textContent.trim();
    const day = `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
    const seconds = "exact" in element.dataset ? `:${pad(at.getSeconds())}` : "";
    const clock = `${pad(at.getHours())}:${pad(at.getMinutes())}${seconds}`;
    element.textContent = `${day} ${clock} `;
    const beside = document.createElement("span");
    beside.className = "utc";
    const sameDay = utc.startsWith(day);
    beside.textContent = `(${sameDay ? utc.slice(11) : utc})`;
    element.append(beside);
  }
  const said = document.querySelector("[data-zone]");
  if (said && offset !== 0) said.textContent = `Times are ${zone}, with UTC beside.`;
}

let asking = false;
let again = false;
let fetched = 0;

async function refetch() {
  if (asking) { again = true; return; }
  asking = true;
  try {
    const wait = fetched + REFETCH_PAUSE_MS - Date.now();
    if (wait > 0) await new Promise((done) => setTimeout(done, wait));
    fetched = Date.now();
    const answer = await fetch(location.href, { headers: { "X-Console-Part": "1" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (answer.status === 503) { say("The ledger does not answer; trying again."); return; }
    if (!answer.ok) return;
    if (!document.body.dataset.live && page.body.dataset.live) { location.reload(); return; }
    const was = document.querySelector("main h1");
    const shape = (root) => [...root.querySelectorAll("[data-live-part][id]")].map((p) => p.id).join();
    if (shape(document) !== shape(page)) { replaceMain(page); } else { parts().forEach((part) => replacePart(part, page)); }
    document.body.toggleAttribute("data-again", page.body.hasAttribute("data-again"));
    const is = document.querySelector("main h1");
    if (is && (!was || was.textContent !== is.textContent)) say(is.textContent);
    else say("");
  } catch {
    say("The console does not answer; trying again.");
  } finally {
    asking = false;
    if (again) { again = false; refetch(); }
  }
}

function busy(part) {
  const active = document.activeElement;
  if (!active || !part.contains(active)) return false;
  return active.matches("input, select, textarea");
}

function replaceMain(page) {
  const main = document.querySelector("main");
  if (busy(main)) return;
  main.innerHTML = page.querySelector("main").innerHTML;
  localise(main);
}

function replacePart(part, page) {
  const fresh = page.getElementById(part.id);
  if (!fresh || busy(part) || part.querySelector("input:checked")) return;
  if (part.dataset.was === fresh.innerHTML) return;
  const open = new Set([...part.querySelectorAll("details")].map((d, n) => (d.open ? n : -1)));
  const active = part.contains(document.activeElement) ? document.activeElement : null;
  const place = active ? [...part.querySelectorAll("a, button, summary, [tabindex]")].indexOf(active) : -1;
  part.dataset.was = fresh.innerHTML;
  part.innerHTML = fresh.innerHTML;
  part.querySelectorAll("details").forEach((d, n) => { d.open = open.has(n); });
  if (place >= 0) {
    const there = part.querySelectorAll("a, button, summary, [tabindex]")[place];
    if (there) there.focus({ preventScroll: true });
  }
  localise(part);
}

function say(text) {
  const state = document.getElementById("live-state");
  if (state && state.textContent !== text) state.textContent = text;
}

function follow() {
  const address = document.body.dataset.live;
  if (!address || !("EventSource" in window)) return;
  const source = new EventSource(address);
  source.addEventListener("changed", refetch);
  source.addEventListener("away", () => say("The ledger does not answer; this page waits for it."));
  source.addEventListener("open", () => { document.documentElement.dataset.following = "yes"; });
  source.addEventListener("error", () => { document.documentElement.dataset.following = "no"; });
  window.addEventListener("pagehide", () => source.close());
}

// A page that says "again" asks for itself until it stops saying so.
setInterval(() => { if (document.body.hasAttribute("data-again")) refetch(); }, 2000);

localise(document);
follow();
