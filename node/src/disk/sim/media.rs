//! What a simulated disk holds: for every file what the kernel has and what is synced, and likewise for names.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::inode::Inode;
use super::random::Random;
use crate::disk::{Entry, Fault};

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Directory,
    File(u64),
}

/// A replacement that has been issued and is not complete.
#[derive(Clone, Debug)]
struct Replacement {
    path: String,
    content: Bytes,
}

/// Faults that a test asks for.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// Syncs of what lies under paths that begin so do nothing.
    pub(super) lying_sync: Option<String>,
    pub(super) failing_syncs: u32,
    pub(super) capacity_bytes: Option<u64>,
    pub(super) no_new_files: bool,
    pub(super) failing_cuts: u32,
}

#[derive(Debug)]
pub(super) struct Media {
    pub(super) random: Random,
    pub(super) asked: Asked,
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<String, Name>,
    synced_names: BTreeMap<String, Name>,
    replacements: Vec<Replacement>,
    next_inode: u64,
    /// Raised by every stop: what was mounted before is gone.
    pub(super) incarnation: u64,
    /// Raised by every power loss.
    pub(super) boot: u64,
    pub(super) locked: bool,
    /// How often a record segment was cut where something in it ends.
    pub(super) cuts: u64,
}

impl Media {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            asked: Asked::default(),
            inodes: BTreeMap::new(),
            names: BTreeMap::new(),
            synced_names: BTreeMap::new(),
            replacements: Vec::new(),
            next_inode: 0,
            incarnation: 0,
            boot: 1,
            locked: false,
            cuts: 0,
        }
    }

    pub(super) fn inode(&mut self, inode: u64) -> &mut Inode {
        self.inodes.entry(inode).or_default()
    }

    pub(super) fn find(&self, path: &str) -> Option<Name> {
        if path.is_empty() { Some(Name::Directory) } else { self.names.get(path).copied() }
    }

    pub(super) fn create(&mut self, path: &str, content: &[u8]) -> u64 {
        let inode = self.next_inode;
        self.next_inode += 1;
        let mut written = Inode::default();
        written.append(content);
        self.inodes.insert(inode, written);
        self.names.insert(path.to_owned(), Name::File(inode));
        inode
    }

    pub(super) fn create_dir(&mut self, path: &str) {
        let mut whole = String::new();
        for part in path.split('/').filter(|part| !part.is_empty()) {
            if !whole.is_empty() {
                whole.push('/');
            }
            whole.push_str(part);
            self.names.entry(whole.clone()).or_insert(Name::Directory);
        }
    }

    pub(super) fn used_bytes(&self) -> u64 {
        let length = |name: &Name| match name {
            Name::File(inode) => self.inodes.get(inode).map_or(0, |inode| inode.current().len()),
            Name::Directory => 0,
        };
        self.names.values().map(length).map(|length| u64::try_from(length).unwrap_or(u64::MAX)).sum()
    }

    /// Refuses what would take the files beyond what the disk holds.
    pub(super) fn check_room(&self, path: &str, chunks: &[Bytes]) -> Result<(), Fault> {
        let bytes = chunks.iter().map(|chunk| u64::try_from(chunk.len()).unwrap_or(u64::MAX)).sum::<u64>();
        let is_over = |capacity: u64| self.used_bytes().saturating_add(bytes) > capacity;
        if self.asked.capacity_bytes.is_some_and(is_over) {
            return Err(Fault::Full { path: path.to_owned(), bytes });
        }
        Ok(())
    }

    /// Refuses a new file, if there is no room for any.
    pub(super) fn check_files(&self, path: &str) -> Result<(), Fault> {
        if self.asked.no_new_files { Err(Fault::Full { path: path.to_owned(), bytes: 0 }) } else { Ok(()) }
    }

    /// Ends a cut in its midst, if that was asked for.
    pub(super) fn check_cut(&mut self) -> Result<(), Fault> {
        let Some(left) = self.asked.failing_cuts.checked_sub(1) else { return Ok(()) };
        self.asked.failing_cuts = left;
        Err(Fault::Full { path: "a file that is cut".to_owned(), bytes: 0 })
    }

    pub(super) fn content(&self, path: &str) -> Result<Bytes, Fault> {
        match self.find(path) {
            Some(Name::File(inode)) => {
                let content = self.inodes.get(&inode).map(Inode::current).unwrap_or_default();
                Ok(Bytes::copy_from_slice(content))
            }
            Some(Name::Directory) | None => Err(Fault::Missing { path: path.to_owned() }),
        }
    }

    pub(super) fn list(&self, path: &str) -> Result<Vec<Entry>, Fault> {
        if self.find(path) != Some(Name::Directory) {
            return Err(Fault::Missing { path: path.to_owned() });
        }
        let child = |(name, what): (&String, &Name)| {
            (parent(name) == path).then(|| Entry {
                name: name.rsplit('/').next().unwrap_or_default().to_owned(),
                is_directory: *what == Name::Directory,
            })
        };
        Ok(self.names.iter().filter_map(child).collect())
    }

    pub(super) fn remove(&mut self, path: &str) -> Result<(), Fault> {
        match self.names.remove(path) {
            Some(Name::File(_)) => Ok(()),
            Some(Name::Directory) => {
                self.names.insert(path.to_owned(), Name::Directory);
                Err(Fault::BadPath { path: path.to_owned() })
            }
            None => Err(Fault::Missing { path: path.to_owned() }),
        }
    }

    pub(super) fn remove_dir(&mut self, path: &str) {
        let inside = format!("{path}/");
        self.names.retain(|name, _| name != path && !name.starts_with(&inside));
    }

    /// Whether a sync of this path does nothing: of any path, or of the segments alone whose paths begin as asked.
    fn lies_about(&self, path: &str) -> bool {
        let lies =
            |prefix: &String| prefix.is_empty() || (path.starts_with(prefix) && path.ends_with(".log"));
        self.asked.lying_sync.as_ref().is_some_and(lies)
    }

    /// A journalled file system does half a rename at no time, and this one never forgets one.
    pub(super) fn rename(&mut self, from: &str, to: &str) {
        rename_in(&mut self.names, from, to);
        if !self.lies_about(from) {
            rename_in(&mut self.synced_names, from, to);
        }
    }

    /// Syncs the first `length` bytes of a file.
    pub(super) fn sync_file(&mut self, inode: u64, length: usize) {
        let is_it = |name: &Name| *name == Name::File(inode);
        let named = |media: &Self| {
            media.names.iter().find(|(_, name)| is_it(name)).is_some_and(|(path, _)| media.lies_about(path))
        };
        let lies = self.asked.lying_sync.is_some() && (self.lies_about("") || named(self));
        if !lies {
            self.inode(inode).sync(length);
        }
    }

    /// Syncs what a directory contains.
    pub(super) fn sync_dir(&mut self, path: &str) {
        if self.lies_about(path) {
            return;
        }
        self.synced_names.retain(|name, _| parent(name) != path);
        let children = self.names.iter().filter(|(name, _)| parent(name) == path);
        self.synced_names.extend(children.map(|(name, what)| (name.clone(), *what)));
    }

    /// Notes a replacement, if there is room for the new content beside the old.
    pub(super) fn begin_replacement(&mut self, path: &str, content: Bytes) -> Result<(), Fault> {
        self.check_files(path)?;
        self.check_room(path, std::slice::from_ref(&content))?;
        self.replacements.push(Replacement { path: path.to_owned(), content });
        Ok(())
    }

    /// Carries out the oldest replacement.
    pub(super) fn finish_replacement(&mut self) {
        if self.replacements.is_empty() {
            return;
        }
        let Replacement { path, content } = self.replacements.remove(0);
        let inode = self.create(&path, &content);
        self.sync_file(inode, content.len());
        if !self.lies_about(&path) {
            self.synced_names.insert(path, Name::File(inode));
        }
    }

    /// Carries out all replacements.
    pub(super) fn finish_replacements(&mut self) {
        while !self.replacements.is_empty() {
            self.finish_replacement();
        }
    }

    /// A process ends in the midst of things: some of the replacements it had issued may have been done, in order.
    pub(super) fn stop(&mut self, random: &mut Random) {
        for _ in 0..random.index(self.replacements.len() + 1) {
            self.finish_replacement();
        }
        let unfinished = self.replacements.drain(..).next();
        if let Some(Replacement { path, content }) = unfinished {
            let written = random.index(content.len() + 1);
            self.create(&format!("{path}.tmp"), content.get(..written).unwrap_or_default());
        }
        self.incarnation += 1;
        self.locked = false;
        let names = &self.names;
        let synced = &self.synced_names;
        let is_named = |inode: &u64| {
            let wanted = Name::File(*inode);
            names.values().chain(synced.values()).any(|name| *name == wanted)
        };
        self.inodes.retain(|inode, _| is_named(inode));
    }

    /// Unsynced names may be as before, unsynced bytes as they were, zero or kept.
    pub(super) fn lose_power(&mut self, random: &mut Random) {
        self.boot += 1;
        let mut paths: Vec<String> = self.names.keys().chain(self.synced_names.keys()).cloned().collect();
        paths.sort();
        paths.dedup();
        let mut left = BTreeMap::new();
        for path in paths {
            let source = if random.one_in(2) { &self.names } else { &self.synced_names };
            let above = parent(&path);
            let has_parent = above.is_empty() || left.contains_key(above);
            if let Some(name) = source.get(&path).copied().filter(|_| has_parent) {
                left.insert(path, name);
            }
        }
        self.synced_names.clone_from(&left);
        self.names = left;
        for inode in self.inodes.values_mut() {
            inode.lose_power(random);
        }
    }

    /// Flips a bit for good.
    pub(super) fn flip_bit(&mut self, path: &str, byte: usize, bit: u8) -> bool {
        let Some(Name::File(inode)) = self.find(path) else { return false };
        self.inode(inode).flip_bit(byte, bit)
    }
}

/// The directory that a path lies in.
fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

fn rename_in(names: &mut BTreeMap<String, Name>, from: &str, to: &str) {
    let inside = format!("{from}/");
    let moved: Vec<String> =
        names.keys().filter(|name| *name == from || name.starts_with(&inside)).cloned().collect();
    for name in moved {
        if let Some(what) = names.remove(&name) {
            names.insert(format!("{to}{}", name.get(from.len()..).unwrap_or_default()), what);
        }
    }
}
