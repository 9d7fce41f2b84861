// The page without scripts works too: forms are sent and the page is loaded anew. This keeps it in step as things happen.
"use strict";

(() => {
  const SILENT_MS = 12000;
  const byId = (id) => document.getElementById(id);
  const log = byId("log");
  const text = byId("text");
  const lost = byId("lost");
  let source = null;
  let mark = document.body.dataset.mark;
  let heard = Date.now();
  let history = [];
  let place = 0;
  let following = true; // what comes next is looked at, until somebody looks elsewhere

  function ownTimes(root) {
    for (const one of root.querySelectorAll(".own")) {
      const at = new Date(one.dataset.at);
      if (!one.dataset.at || Number.isNaN(at.getTime())) continue;
      const beside = one.previousElementSibling ? one.previousElementSibling.textContent : "";
      const own = at.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
      one.textContent = beside.includes(own) ? "" : `· ${own} your time`;
    }
  }

  function tell(words) {
    lost.textContent = words;
    lost.hidden = words === "";
  }

  function isAtEnd() {
    return following || window.innerHeight + window.scrollY >= document.documentElement.scrollHeight - 120;
  }

  function show(piece) {
    const room = window.innerHeight - byId("composer").offsetHeight - 100;
    piece.scrollIntoView({ block: piece.offsetHeight > room ? "start" : "end" });
    if (piece.offsetHeight <= room) window.scrollTo(0, document.documentElement.scrollHeight);
  }

  function element(html) {
    const made = document.createElement("template");
    made.innerHTML = html;
    ownTimes(made.content);
    return made.content.firstElementChild;
  }

  function put(told) {
    const fresh = element(told.html);
    const old = byId(told.id);
    const follow = isAtEnd();
    if (old) {
      const open = [...old.querySelectorAll("details")].map((one) => one.open);
      const focused = old.contains(document.activeElement) ? document.activeElement.value : null;
      [...fresh.querySelectorAll("details")].forEach((one, number) => { one.open = open[number] || false; });
      const answered = old.getAttribute("aria-busy") === "true";
      old.replaceWith(fresh);
      if (focused) for (const one of fresh.querySelectorAll("button")) if (one.value === focused) one.focus({ preventScroll: true });
      if (answered && follow) show(fresh);
    } else {
      log.append(fresh);
      if (told.loud) byId("urgent").textContent = fresh.textContent.replace(/\s+/g, " ");
      if (follow) show(fresh);
    }
  }

  function state(now) {
    const body = document.body;
    if (byId("badge").textContent !== now.badge) byId("badge").textContent = now.badge;
    byId("when").textContent = now.when;
    document.querySelector("#clock .own").dataset.at = now.at;
    ownTimes(byId("clock"));
    body.dataset.tone = now.tone;
    body.dataset.live = now.live ? "yes" : "no";
    document.title = now.tone === "calm" && !now.live ? "Thetadesk" : `${now.badge.split(" · ").slice(0, 2).join(" ")} – Thetadesk`;
    const secret = now.secret ? "yes" : "no";
    if (body.dataset.secret !== secret) {
      body.dataset.secret = secret;
      text.type = now.secret ? "password" : "text";
      text.inputMode = now.secret ? "numeric" : "text";
      byId("asks").textContent = now.secret ? "Your PIN, or the word no" : "Ask, or type a command";
    }
  }

  function connect() {
    if (source) source.close();
    heard = Date.now();
    source = new EventSource(`/stream?mark=${encodeURIComponent(mark)}`);
    const on = (name, act) => source.addEventListener(name, (event) => {
      heard = Date.now();
      if (event.lastEventId) mark = event.lastEventId;
      act(JSON.parse(event.data));
    });
    on("state", (now) => { tell(""); state(now); });
    on("piece", put);
    on("reset", (all) => {
      log.replaceChildren(...all.html.map(element));
      window.scrollTo(0, document.documentElement.scrollHeight);
    });
    on("moved", () => {
      source.close();
      source = null;
      tell("This page rests: the desk is open in newer tabs. Send anything to wake it.");
    });
    source.onerror = () => {
      if (source && source.readyState === EventSource.CLOSED) {
        tell("You are signed out, or the desk is not there. Open the link that the desk printed.");
        source = null;
      } else {
        tell(`No connection to the desk since ${new Date(heard).toLocaleTimeString("en-GB")}; trying again. What you see may be old.`);
      }
    };
  }

  setInterval(() => {
    if (source && Date.now() - heard > SILENT_MS) tell(`No word from the desk since ${new Date(heard).toLocaleTimeString("en-GB")}. What you see may be old.`);
  }, 1000);

  async function send(form, more) {
    const fields = new URLSearchParams(new FormData(form));
    for (const [key, value] of Object.entries(more)) fields.set(key, value);
    if (!source) connect();
    following = true;
    try {
      const answer = await fetch(form.action, { method: "POST", body: fields, headers: { Accept: "application/json" } });
      if (answer.ok) return true;
      tell(await answer.text());
    } catch (error) {
      tell("The desk could not be reached: it is not known whether that arrived. Look at the conversation before you send it again.");
    }
    return false;
  }

  for (const moved of ["wheel", "touchmove"]) window.addEventListener(moved, () => { following = false; }, { passive: true });
  window.addEventListener("keydown", (event) => {
    if (["PageUp", "PageDown", "Home", "End", "Tab"].includes(event.key)) following = false;
  });

  const fresh = () => (crypto.randomUUID ? crypto.randomUUID() : `${Date.now()}-${Math.random()}`);

  byId("composer").addEventListener("submit", async (event) => {
    event.preventDefault();
    const line = text.value;
    if (!line.trim()) return;
    const secret = text.type === "password";
    text.value = "";
    if (!secret) { history = [...history.filter((one) => one !== line), line].slice(-50); place = history.length; }
    window.scrollTo(0, document.documentElement.scrollHeight);
    if (!await send(event.target, { text: line, id: fresh() }) && !secret && !text.value) text.value = line;
    text.focus();
  });

  byId("halt").addEventListener("submit", (event) => {
    event.preventDefault();
    send(event.target, { id: fresh() });
  });

  byId("presser").addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = event.submitter;
    if (!button || button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    window.scrollTo(0, document.documentElement.scrollHeight);
    await send(event.target, { token: button.value, id: fresh() });
    button.removeAttribute("aria-disabled");
  });

  log.addEventListener("click", (event) => {
    const again = event.target.closest(".again");
    if (!again) return;
    text.value = again.dataset.line;
    text.focus();
  });

  text.addEventListener("keydown", (event) => {
    if (text.type === "password" || (event.key !== "ArrowUp" && event.key !== "ArrowDown")) return;
    event.preventDefault();
    place = Math.max(0, Math.min(history.length, place + (event.key === "ArrowUp" ? -1 : 1)));
    text.value = history[place] || "";
  });

  ownTimes(document);
  window.scrollTo(0, document.documentElement.scrollHeight);
  if (window.matchMedia("(pointer: fine)").matches) text.focus();
  connect();
})();
