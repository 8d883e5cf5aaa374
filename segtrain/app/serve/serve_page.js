"use strict";
const find = (selector) => document.querySelector(selector);
const first = find("#facts").textContent;
let file = null; // key of the upload that is shown
let turn = 0; // number of the question whose answer is waited for

function say(message, isRefusal) {
  const place = find("#facts");
  place.textContent = message;
  place.classList.toggle("refusal", isRefusal);
}

function clearPictures() {
  for (const picture of document.querySelectorAll("figure img")) { picture.hidden = true; picture.removeAttribute("src"); }
  find("#labels a").hidden = true;
  find("#legend").textContent = "";
}

function refuse(message) {
  clearPictures();
  say(message, true);
}

function forget() {
  if (file) navigator.sendBeacon(`/forget?file=${encodeURIComponent(file)}`);
  file = null;
}

async function answerOf(address, body) {
  const response = await fetch(address, { method: "POST", body });
  const answer = await response.json().catch(() => ({ error: "The server is busy; try again soon." }));
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

async function upload(chosen) {
  forget();
  const mine = ++turn;
  find("#name").textContent = chosen.name;
  find("#upload button").hidden = false;
  const most = Number(find("#upload").dataset.most);
  if (chosen.size > most * 2 ** 20) { refuse(`'${chosen.name}' has ${(chosen.size / 2 ** 20).toFixed(1)} MB; expected ${most} MB at most; start with max_mb=…`); return; }
  say("Sending the file", false);
  await waited(mine, async () => {
    const answer = await answerOf(`/upload?name=${encodeURIComponent(chosen.name)}`, chosen);
    if (mine === turn) { file = answer.file; ask(); } else { navigator.sendBeacon(`/forget?file=${answer.file}`); }
  });
}

async function ask() {
  if (!file || !find("#controls").checkValidity()) return;
  const mine = ++turn;
  const question = {
    file,
    page: Number(find("#page input").value || -1),
    views: find("#views input:checked").value,
    shift: find("#shift select").value,
    strength: Number(find("#strength input[type=number]").value),
    draw: Number(find("#draw input").value),
    fires: find("#fires input").checked,
    class: find("#class select").value,
  };
  await waited(mine, async () => {
    const answer = await answerOf("/show", JSON.stringify(question));
    if (mine === turn) show(answer);
  });
}

async function waited(mine, work) {
  find("#shown").classList.add("busy");
  try {
    await work();
  } catch (error) {
    if (mine === turn) refuse(error instanceof TypeError ? "The server does not answer." : error.message);
  } finally {
    if (mine === turn) find("#shown").classList.remove("busy");
  }
}

function show(answer) {
  for (const name of ["image", "mask", "overlay", "probability"]) {
    const picture = find(`#${name} img`);
    picture.src = answer[name];
    picture.hidden = false;
  }
  const link = find("#labels a");
  link.href = answer.labels;
  link.download = answer.name;
  link.hidden = false;
  find("#legend").innerHTML = answer.legend; // the server's, with names escaped
  find("#facts").innerHTML = answer.facts;
  find("#facts").classList.remove("refusal");
}

function clear() {
  forget();
  turn += 1;
  find("#upload input").value = find("#name").textContent = "";
  find("#upload button").hidden = true;
  find("#shown").classList.remove("busy");
  clearPictures();
  say(first, false);
}

const [slider, number] = document.querySelectorAll("#strength input");
slider.addEventListener("input", () => { number.value = slider.value; });
number.addEventListener("input", () => { slider.value = number.value; });
for (const control of document.querySelectorAll("#controls input:not([type=file]), select")) control.addEventListener("change", ask);
find("#controls").addEventListener("submit", (event) => event.preventDefault());
find("#upload input").addEventListener("change", (event) => { if (event.target.files[0]) upload(event.target.files[0]); });
find("#upload button").addEventListener("click", clear);
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    find("#upload").classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files[0]) upload(event.dataTransfer.files[0]);
  });
}
for (const picture of document.querySelectorAll("figure img")) {
  picture.addEventListener("click", () => document.fullscreenElement ? document.exitFullscreen() : picture.requestFullscreen());
}
window.addEventListener("pagehide", forget);
window.addEventListener("pageshow", (event) => { if (event.persisted) clear(); });
